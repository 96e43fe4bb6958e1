"""Where tools live: a virtual environment each, with pinned packages, so that no licence and no gigabyte of theirs is ours.

By default an environment sees the packages of the one that runs the suite behind its own: torch is there already, and both
sides then compute with the same one. Nothing is seen the other way round. ``own`` installs all of it once more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.structures import UserError
from keypoint_duel.clock import LAST_WORDS

FOLDER = "KEYPOINT_TOOLS"  # names the folder of all environments
MARK = "keypoint-duel.json"  # in an environment that is complete
SHARED = "zz-shared.pth"  # names our packages, which stand behind its own


@dataclass(frozen=True)
class Environment:
    """A tool's environment.

    Attributes:
        name: Of the tool.
        package: What is installed.
        version: Of that package.
        licence: Its licence.
        megabytes: What it takes beside a shared torch, and with one of its own.
        extra: Further requirements.
    """

    name: str
    package: str
    version: str
    licence: str
    megabytes: tuple[int, int]
    extra: tuple[str, ...] = ()

    @property
    def place(self) -> Path:
        """Its folder."""
        root = os.environ.get(FOLDER) or Path.home() / ".cache" / "keypoint-tools"
        return Path(root) / f"{self.name}-{self.version}"

    @property
    def installed(self) -> bool:
        """Whether it is there, and whole."""
        return (self.place / MARK).is_file()

    @property
    def summary(self) -> str:
        """What it is and where, in a line."""
        state = f"installed in {self.place}" if self.installed else f"not installed, about {self.megabytes[0]:,} MB"
        return f"{self.package} {self.version} ({self.licence}): {state}"

    def python(self, given: str = "") -> Path:
        """The Python that runs the tool.

        Args:
            given: An environment, or a Python, that the user names; "" for the installed one.

        Raises:
            UserError: Where there is none.
        """
        if not given:
            if not self.installed:
                raise UserError(
                    f"{self.name} is not installed here: python -m benchmark tools install {self.name} "
                    f"(about {self.megabytes[0]:,} MB), or name an environment that has {self.package} with env=PATH"
                )
            return python_in(self.place)
        return python_in(Path(given))

    def install(self, say: Callable[[str], None], *, own: bool = False) -> Path:
        """Make the environment; one that is whole stays as it is.

        Args:
            say: Is told what happens.
            own: Install torch once more, instead of sharing ours.

        Returns:
            Its folder.

        Raises:
            UserError: Where that fails, with the installer's last words.
        """
        if self.installed:
            say(self.summary)
            return self.place
        size = self.megabytes[own]
        say(
            f"{self.package} {self.version} ({self.licence}) into {self.place}: about {size:,} MB"
            + ("" if own else "; torch and what else is there already is shared (--own installs it again)")
        )
        free = shutil.disk_usage(_existing(self.place)).free / 1e6
        if free < 1.2 * size:
            raise UserError(f"{self.place}: takes about {size:,} MB, and {free:,.0f} MB are free")
        shutil.rmtree(self.place, ignore_errors=True)  # half of an earlier attempt
        self._call([sys.executable, "-m", "venv", str(self.place)], say)
        python = python_in(self.place)
        if not own:
            told = subprocess.run(
                [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                capture_output=True,
                text=True,
                check=True,
            )
            Path(told.stdout.strip(), SHARED).write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        self._call([str(python), "-m", "pip", "install", f"{self.package}=={self.version}", *self.extra], say)
        (self.place / MARK).write_text(json.dumps({"package": self.package, "version": self.version}), encoding="utf-8")
        say(self.summary)
        return self.place

    def _call(self, command: list[str], say: Callable[[str], None]) -> None:
        said: list[str] = []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip())
                if line.startswith(("Collecting", "Downloading", "Installing", "Successfully", "ERROR")):
                    say(line.strip()[:200])
        if process.returncode:
            words = " ".join("\n".join(said)[-LAST_WORDS:].split())[-500:]
            raise UserError(f"{self.name} could not be installed: {words}")


def python_in(place: Path) -> Path:
    """The Python of an environment: of its folder, or the program itself.

    Raises:
        UserError: Where there is none.
    """
    if place.is_file():
        return place.absolute()
    for inside in ("bin/python", "Scripts/python.exe", "python.exe"):
        if (place / inside).exists():
            return (place / inside).absolute()  # not resolved: a link tells Python which environment it is of
    raise UserError(f"env={place}: is no environment; name its folder, or its Python")


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


YOLO_POSE = Environment("yolo-pose", "ultralytics", "8.4.190", "AGPL-3.0", (420, 6_000))
SLEAP_NN = Environment("sleap-nn", "sleap-nn", "0.3.5", "BSD-3-Clause", (930, 6_000))
DEEPLABCUT = Environment("deeplabcut", "deeplabcut", "3.0.2", "LGPL-3.0", (640, 6_000))
