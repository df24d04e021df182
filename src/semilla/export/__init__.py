"""A trained model in the formats others read."""

TARGETS = ("huggingface", "gguf", "onnx")
QUANTIZATIONS = ("f32", "f16", "q8_0")
"""Number formats of a GGUF file; the other targets are float32."""
DEFAULT_QUANTIZATION = "f16"
