"""The SentencePiece tokenizer: training it, using it, and checking its file before it is parsed."""
