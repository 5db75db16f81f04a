"""The conformance suite for any kind of attention, also for your own."""
