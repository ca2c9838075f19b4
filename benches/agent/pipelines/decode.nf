pipeline decode "Directions from simulated populations"

param shuffles = 20

input sessions = ingest.simulate()

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", window = 0 s .. 2 s, model = lda(shrinkage = auto), folds = 4)
    with control = shuffle("direction", n = param.shuffles), seed = 7
}

expect max(direction[*].accuracy) > 0.2 "the best session is decoded above 1 in 8"

report decode "Directions" { direction }
