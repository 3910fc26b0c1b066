"""Words that options choose among, apart from what needs torch."""

from typing import Literal

Which = Literal["best", "last"]
"""A checkpoint: the one with the best validation score, or the last."""
Device = Literal["cpu", "cuda"]
"""Where networks compute: 'cuda' is an NVIDIA GPU."""
Accept = Literal["none", "rejection", "metropolis"]
"""How D chooses among samples of G."""
Format = Literal["float32", "float16", "int8"]
"""In what the weights of a generator are sent to a page."""
ExportFormat = Literal["hub-folder", "onnx", "safetensors", "torch-export"]
"""In what a generator is exported: the files of `advnets.export.formats`."""
CODE = "z"
"""The default target of an encoder; the others are outputs of modules of G, by name."""
