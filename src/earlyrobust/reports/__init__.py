"""Pictures from run records. Never imports PyTorch."""
