"""The denoising autoencoders that ship with the package; see `weights/README.md` for how they were made."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED_DAES = {f"sigma{sigma}": str(WEIGHTS / f"dae_sigma{sigma}.safetensors") for sigma in (11, 25)}
