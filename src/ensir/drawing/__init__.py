"""Drawing: what figures are drawn with."""
