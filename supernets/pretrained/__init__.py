"""Pretrained transformers of other people as supernets: a Hugging Face folder in, a supernet directory out."""
