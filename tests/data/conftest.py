"""Property tests here have no deadline: on a busy machine the first example of one can take any time."""

from hypothesis import settings

settings.register_profile("data", deadline=None, max_examples=60)
settings.load_profile("data")
