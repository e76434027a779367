"""Language models in GGUF: quantised by llama.cpp, with importance matrices of a text."""
