"""How good a result is and how sure: metrics, rankings, intervals; this room knows arrays only."""
