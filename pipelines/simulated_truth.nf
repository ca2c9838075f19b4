# Does neuroflow find what is there, and nothing else? Simulated sessions, whose truth is known.
#
# Three sessions: tuned units, weakly tuned units with a running confound, untuned units. Communities are planted in all three.
pipeline simulated_truth "Simulated V1: what was planted is found"

param shuffles = 200

input sessions = ingest.simulate()

for session in sessions {
  responses = ingest.trials(sessions[session])

  direction = decode.classify(responses, target = "direction", window = 0 s .. 2 s, folds = 8)
    with control = shuffle("direction", n = param.shuffles), seed = 7
  audit = decode.audit(responses, target = "direction", folds = 8)
    with control = shuffle("direction", n = param.shuffles), seed = 7

  affinity    = connectome.affinity(responses, kind = correlation, residual = true, by = "direction")
  communities = connectome.sbm(affinity, weights = exponential) with seed = 7
  recovered   = connectome.compare(communities, truth = "community")
}

expect recovered[*].nmi >= 0.9                    "planted communities are found in every session"
expect direction["sim1"].accuracy > 0.6           "tuned units tell the direction"
expect direction["sim3"].accuracy.p > 0.05        "untuned units tell nothing"
expect audit["sim2"].behaviour.p < 0.05           "the running confound is found"
expect audit["sim1"].behaviour.p > 0.05           "and is not found where there is none"

report simulated_truth { direction, audit, recovered, communities, affinity }
