"""Export of models: SavedModel, TFLite, ONNX."""
