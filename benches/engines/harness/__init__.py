"""neuroflow beside other workflow engines: the same work, timed and probed in the same way."""
