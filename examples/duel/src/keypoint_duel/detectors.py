"""The tools on offer: which command each is, and what can be set of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal

from benchmark import Card
from benchmark.structures import UserError
from keypoint_duel import adapters
from keypoint_duel.adapters import for_deeplabcut, for_sleap, for_yolo
from keypoint_duel.environments import DEEPLABCUT, SLEAP_NN, YOLO_POSE, Environment
from keypoint_duel.tool import Tool

Config = Literal["auto", "tuned"]


class AnyTool(Tool):
    """Any program that speaks the protocol of the duel.

    Args:
        command: The program and its arguments; ``fit FOLDER`` or ``predict FOLDER`` is added. ``python`` is this one.
        version: Of the program: raise it where its answers change, for its code is not looked at.
        online: Whether it may use the network.
    """

    card = Card(reference="the protocol in docs/duel.md", multi_instance=True, has_confidence=True)

    def __init__(self, command: str = "", version: int = 1, online: bool = False) -> None:
        super().__init__(online)
        self.text, self.version = command, version

    def command(self) -> list[str]:
        """As given; a program or file that lies here is named by its full path, for the tool works elsewhere."""
        try:
            words = shlex.split(self.text)
        except ValueError as error:
            raise UserError(f"command={self.text}: {error}") from error
        if not words:
            raise UserError("a tool needs its command: tool:command=python my_tool.py")
        words = [str(Path(word).absolute()) if Path(word).exists() else word for word in words]
        return [sys.executable, *words[1:]] if words[0] == "python" else words


class Adapted(Tool):
    """A tool that one of our adapters translates for, run by the Python of the tool's environment.

    Args:
        config: ``auto``: as the tool configures itself, ``tuned``: set by hand for few images and a short time.
        env: Its environment, or the Python in it; "" for the one that ``tools install`` makes.
        version: The version of the tool that must be found there.
        online: Whether it may use the network.
    """

    environment: ClassVar[Environment]
    adapter: ClassVar[ModuleType]

    def __init__(self, config: Config = "auto", env: str = "", version: str = "", online: bool = False) -> None:
        super().__init__(online)
        self.config, self.env, self.version = config, env, version or self.environment.version

    def command(self) -> list[str]:
        """The adapter under the tool's Python."""
        name = self.adapter.__name__.rpartition(".")[2]
        return [str(self.environment.python(self.env)), str(Path(adapters.__file__).parent), name]

    def settings(self) -> dict[str, Any]:
        """The configuration, and the version that is expected."""
        return {"config": self.config, "package": self.environment.package, "version": self.version}


class YoloPose(Adapted):
    """Ultralytics pose: the nano network of YOLO11, from no weights."""

    card = Card(reference="Ultralytics 8.4, yolo11n-pose.yaml", multi_instance=True, has_confidence=True)
    environment, adapter = YOLO_POSE, for_yolo


class SleapNN(Adapted):
    """SLEAP-NN: confidence maps of a U-Net, from no weights."""

    card = Card(reference="SLEAP-NN 0.3, single instance or bottom-up U-Net", multi_instance=True, has_confidence=True)
    environment, adapter = SLEAP_NN, for_sleap


class DeepLabCut(Adapted):
    """DeepLabCut 3 with its PyTorch engine: heatmaps with offsets of a ResNet."""

    card = Card(reference="DeepLabCut 3.0, PyTorch engine", multi_instance=True, has_confidence=True)
    environment, adapter = DEEPLABCUT, for_deeplabcut
