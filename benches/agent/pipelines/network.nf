pipeline network "Who works with whom"

input sessions = ingest.simulate()

for mouse in sessions {
  responses   = ingest.trials(sessions[mouse])
  affinity    = connectome.affinity(responses, kind = correlation)
  communities = connectome.sbm(affinity, weights = exponential)
    with control = circular_shift(n = 5), seed = 7
  motifs = connectome.ntf(responses, rank = 2 .. 4, scale = minmax, restarts = 2)
    with control = circular_shift(n = 5), seed = 7
}

report network { communities, motifs }
