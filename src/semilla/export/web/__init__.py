"""The model as one HTML page: weights, tokenizer, forward pass and model card. It needs no server and no network."""
