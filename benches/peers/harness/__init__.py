"""neuroflow's kernels and stages beside the packages of the field, on the same inputs."""
