"""Exports of a trained model: the bundle that ships, and files for other programs."""

TARGETS = ("huggingface", "hub", "gguf", "ollama", "onnx", "web")
QUANTIZED = ("gguf", "ollama")
"""Targets with a choice of number formats."""
QUANTIZATIONS = ("f32", "f16", "q8_0")
"""Number formats of a GGUF file. The page for a browser is always int8, the other targets are always float32."""
DEFAULT_QUANTIZATION = "f16"
