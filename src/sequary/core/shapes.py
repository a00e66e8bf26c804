"""The legend of the letters that names of tensors carry (`x_BTD`, `q_BHTK`): documentation, no code.

- B: rows of the batch
- T: positions of the sequence (queries)
- S: positions of the keys or of a memory
- D: model width
- H: heads; in forecasts [B, H, C] the horizon
- K: width of a query or key in one head
- V: width of a value in one head; in logits the vocabulary
- C: channels of the data
- L: look-back length of a forecaster
- N: patches, or state entries of a state-space model
- P: patch length, or past covariates
- G: groups of an order
- Q: quantile levels
"""
