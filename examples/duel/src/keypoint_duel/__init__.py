"""Other tools as detectors of the keypoint benchmark: same split, same images, same clock, same board.

A tool is never imported here. It runs in an environment of its own (`keypoint_duel.environments`) and is spoken to by a
folder (`keypoint_duel.tool`): COCO annotations and images in, a COCO results file out, and a clock (`keypoint_duel.clock`).
`adapters/` holds what runs over there.
"""
