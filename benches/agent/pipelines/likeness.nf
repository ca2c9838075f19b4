pipeline likeness "Brain and model"

input sessions = ingest.simulate()

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  brain     = similarity.rdm(responses, by = "direction", window = 0 s .. 2 s, measure = correlation)
  gabor     = train.features(responses, by = "direction", model = gabor())
  model     = similarity.rdm(gabor, by = "direction", measure = correlation)
  ceiling   = similarity.noise_ceiling(responses, by = "direction", window = 0 s .. 2 s) with seed = 7
  likeness  = similarity.rsa(brain, model, ceiling, compare = spearman)
    with control = random_weights(n = 5), seed = 7
}

report likeness { likeness, brain, model }
