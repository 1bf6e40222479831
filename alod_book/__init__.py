"""The book: what its chapters draw, and what runs them and builds their pages.

- `figures` draws what it is given; `projection` lays embeddings out in the plane.
- `intro`, `model_comparison`, `embeddings`, `initial_selection`, `incremental_learning`,
  `strategy_comparison`, `strategy_cards`, `messy_pools`, `photographs`: what one chapter draws.
  `one_data_set` (digits, clothing), `one_run`, `comparisons`, `positions`, `results`: several.
- `chapters`, `parameters`, `grid`: a chapter is checked and executed, once or many times.
- `build`, `status`, `renderer`: pages are made of what was executed.
"""
