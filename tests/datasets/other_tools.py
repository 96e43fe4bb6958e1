"""The photographs of `photographs` as other tools have them: COCO, Label Studio and CVAT, a folder each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from photographs import photographs

SIZE = (64, 48)


def as_label_studio(coco: dict[str, Any]) -> str:
    """In per cents from the edge; points are children of their box."""
    sides = {"original_width": SIZE[0], "original_height": SIZE[1]}
    results: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in coco["images"]}
    for one in coco["annotations"]:
        own, parent = results[one["image_id"]], f"box{one['id']}"
        x, y, width, height = (v / SIZE[i % 2] * 100 for i, v in enumerate(one["bbox"]))
        value = {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": ["figure"]}
        own.append({"id": parent, "type": "rectanglelabels", "value": value, **sides})
        for j, name in enumerate(coco["categories"][0]["keypoints"]):
            px, py, visible = one["keypoints"][3 * j : 3 * j + 3]
            place = {"x": (px + 0.5) / SIZE[0] * 100, "y": (py + 0.5) / SIZE[1] * 100, "keypointlabels": [name]}
            if visible:
                own.append(
                    {"id": f"{parent}{name}", "type": "keypointlabels", "parentID": parent, "value": place, **sides}
                )
    return json.dumps(
        [
            {"data": {"image": image["file_name"]}, "annotations": [{"result": results[image["id"]]}]}
            for image in coco["images"]
        ]
    )


def as_cvat(coco: dict[str, Any]) -> str:
    """In pixels from the edge; a skeleton and its box are a group."""
    names = coco["categories"][0]["keypoints"]
    labels = "<label><name>figure</name><type>skeleton</type></label>"
    labels += "".join(f"<label><name>{name}</name><parent>figure</parent></label>" for name in names)
    text = f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"
    for image in coco["images"]:
        text += f'<image name="{image["file_name"]}" width="{SIZE[0]}" height="{SIZE[1]}">'
        for one in coco["annotations"]:
            if one["image_id"] == image["id"]:
                group = f'group_id="{one["id"]}"'
                text += f'<skeleton label="figure" {group}>'
                for j, name in enumerate(names):
                    x, y, visible = one["keypoints"][3 * j : 3 * j + 3]
                    text += f'<points label="{name}" outside="{int(not visible)}" points="{x + 0.5!r},{y + 0.5!r}"/>'
                x, y, width, height = one["bbox"]
                text += (
                    f'</skeleton><box label="body" {group} xtl="{x}" ytl="{y}" xbr="{x + width}" ybr="{y + height}"/>'
                )
        text += "</image>"
    return text + "</annotations>"


def folders_of_tools(folder: Path, *, two: float = 0.0) -> dict[str, Path]:
    """Name of a tool -> a folder with its annotations and the images."""
    found = {}
    for name in ("coco", "label-studio", "cvat"):
        file = photographs(folder / name, 12, k=4, size=SIZE, holes=0.2, two=two, empty=1, suffix=".png")
        coco = json.loads(file.read_text())
        if name != "coco":
            file.unlink()
            written = as_cvat(coco) if name == "cvat" else as_label_studio(coco)
            (folder / name / f"annotations.{'xml' if name == 'cvat' else 'json'}").write_text(written)
        found[name] = folder / name
    return found
