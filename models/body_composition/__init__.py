"""Body composition on CT: the mid-L3 slice, and muscle and fat measured there."""
