# What does the population of mouse visual cortex encode, who works with whom, and what model does it resemble?
#
# Five mice watched gratings drift in eight directions (two-photon calcium imaging, Park et al. 2024). For each mouse: direction and
# orientation are decoded, with a shuffle null and from where they can not be; communities and motifs are found and compared with
# recordings whose timing is broken; the geometry of the responses is compared with a bank of motion-energy filters, beside what noise
# allows and beside filters with random weights. Across mice, a decoder is carried from four to the fifth.
# Where the recordings can't be had, the same runs on simulated sessions, and says so everywhere.
pipeline mouse_v1 "Drifting gratings in mouse visual cortex"

param source   = "auto"    # "park2024", "simulated", or "auto": the recordings where they can be had
param shuffles = 200

input sessions = dataset("park2024-v1-gratings", when = param.source != "simulated")
  or ingest.simulate(when = param.source != "park2024")

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  tuning    = ingest.tuning(responses, by = "direction", window = 0 s .. 2 s)

  direction = decode.classify(responses, target = "direction", window = 0 s .. 2 s,
    model = lda(shrinkage = auto), folds = 8)
    with control = [shuffle("direction", n = param.shuffles), window(-1 s .. 0 s)], seed = 7
  orientation = decode.classify(responses, target = "orientation", window = 0 s .. 2 s,
    model = lda(shrinkage = auto), folds = 8)
    with control = shuffle("orientation", n = param.shuffles), seed = 7
  audit = decode.audit(responses, target = "direction", folds = 8)
    with control = shuffle("direction", n = param.shuffles), seed = 7

  affinity    = connectome.affinity(responses, kind = correlation)
  communities = connectome.sbm(affinity, weights = exponential)
    with control = circular_shift(n = 20), seed = 7
  motifs = connectome.ntf(responses, rank = 2 .. 7, scale = minmax, restarts = 3)
    with control = circular_shift(n = 20), seed = 7

  brain    = similarity.rdm(responses, by = "direction", window = 0 s .. 2 s, measure = correlation)
  gabor    = train.features(responses, by = "direction", model = gabor())
  model    = similarity.rdm(gabor, by = "direction", measure = correlation)
  ceiling  = similarity.noise_ceiling(responses, by = "direction", window = 0 s .. 2 s) with seed = 7
  likeness = similarity.rsa(brain, model, ceiling, compare = spearman)
    with control = random_weights(n = 20), seed = 7
}

transfer = decode.transfer(gather(responses), target = "direction", window = 0 s .. 2 s,
  align = procrustes(dimensions = 6))
  with control = shuffle("direction", n = param.shuffles), seed = 7

expect max(direction[*].accuracy) > 0.5          "the best mouse's direction is decoded far above 1 in 8"
expect max(direction[*].accuracy.window) < 0.3   "nothing is decoded before the stimulus"

report mouse_v1 "Mouse V1: drifting gratings" {
  transfer, direction, orientation, audit, tuning, communities, affinity, motifs, brain, model, likeness, ceiling
}
