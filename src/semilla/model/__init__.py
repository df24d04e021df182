"""The network, in torch: training needs it, what ships does not."""
