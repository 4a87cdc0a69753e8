"""The how-to for Lightning: `configure_model` materializes, the trainer trains."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import penstock

lightning = pytest.importorskip("pytorch_lightning")


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model: nn.Module | None = None

    def configure_model(self) -> None:
        if self.model is None:
            with torch.device("meta"):
                self.model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 2))
            penstock.materialize(self.model, seed=0, device=self.device)

    def training_step(self, batch, index):
        assert self.model is not None
        return self.model(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_made_in_configure_model(tmp_path):
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 6)), batch_size=4)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    module = Module()
    trainer.fit(module, data)
    with torch.device("meta"):
        start = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 2))
    penstock.materialize(start, seed=0)
    assert all(torch.isfinite(p).all() for p in module.parameters())
    changed = (module.model[0].weight - start[0].weight).abs().max()
    assert 0 < changed < 0.1, "one step away from the start of that seed"
