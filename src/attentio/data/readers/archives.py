"""What is inside a zip or tar archive: one parallel file, or two aligned ones as OPUS packs them for Moses."""

import tarfile
import zipfile
from itertools import islice
from pathlib import Path

from attentio.data.readers.languages import known_language
from attentio.data.readers.lines import DAMAGED, Member
from attentio.errors import DataError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_NO_TEXT = (".ids", ".xml", ".md", ".scores", ".json.sig")
_NO_TEXT_NAMES = (".", "__", "readme", "license", "licence", "copying", "notice", "_about.txt")
_MOST_MEMBERS = 10_000


def open_archive(path: Path) -> tuple[Member, Member | None]:
    """Return the one text of an archive, or its two aligned texts in the order of their common name.

    The texts of `Name.en-zh.en` and `Name.en-zh.zh` are English, then Chinese. Raises DataError for any other content.
    """
    bases = ((name, Path(name).name.lower()) for name in _members(path))
    names = [name for name, base in bases if not base.startswith(_NO_TEXT_NAMES) and not base.endswith(_NO_TEXT)]
    if len(names) == 1:
        return Member(path, names[0]), None
    stems = {name.rpartition(".")[0] for name in names}
    languages = [name.rpartition(".")[2] for name in names]
    if len(names) == 2 and len(stems) == 1 and all(map(known_language, languages)):
        order = stems.pop().rpartition(".")[2].lower().split("-")
        if order == [*map(str.lower, languages[::-1])]:
            names.reverse()
        return Member(path, names[0]), Member(path, names[1])
    held = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    hint = "An archive holds one parallel file, or two such as NAME.en and NAME.zh. Unpack it and name the files."
    raise DataError(f"{path} holds {held or 'no text'}.", hint=hint, file=path)


def _members(path: Path) -> list[str]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return [info.filename for info in archive.infolist()[:_MOST_MEMBERS] if not info.is_dir()]
        with tarfile.open(path) as archive:
            return list(islice((info.name for info in archive if info.isfile()), _MOST_MEMBERS))
    except (*DAMAGED, OSError) as error:
        reason = str(error).partition(":\n")[0]  # tarfile lists what it tried, in lines
        raise DataError(f"{path} is no readable archive ({reason}).", file=path) from None
