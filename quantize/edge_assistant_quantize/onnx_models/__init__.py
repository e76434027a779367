"""ONNX models in the workshop: smaller by recipe, in two halves, as ORT, from Piper checkpoints."""
