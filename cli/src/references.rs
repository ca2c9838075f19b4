//! What is to be cited for a method: by stage, and by the word that a parameter begins with.

/// Where something was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publication {
    /// In a journal.
    Article,
    /// In the proceedings of a conference.
    Proceedings,
}

/// A publication.
pub(crate) struct Reference {
    /// Its key in a bibliography.
    pub(crate) key: &'static str,
    /// Authors: family name, given names.
    pub(crate) authors: &'static [(&'static str, &'static str)],
    pub(crate) title: &'static str,
    /// What `venue` is.
    pub(crate) kind: Publication,
    /// The journal, or the conference.
    pub(crate) venue: &'static str,
    pub(crate) year: u16,
    /// Volume, with the number if there is one.
    pub(crate) volume: &'static str,
    pub(crate) pages: &'static str,
    /// A DOI, or a page when there is none.
    pub(crate) at: &'static str,
}

/// For a stage: what it is cited for. With a parameter and a word, only when the parameter's value begins with the word.
type Cited = (&'static str, Option<(&'static str, &'static str)>, &'static str);

const CITED: &[Cited] = &[
    ("connectome.coupling", Some(("measure", "phase_locking")), "lachaux1999"),
    ("connectome.coupling", Some(("measure", "weighted_phase_lag")), "vinck2011"),
    ("connectome.coupling", Some(("measure", "imaginary_coherence")), "nolte2004"),
    ("connectome.leiden", None, "traag2019"),
    ("connectome.ntf", Some(("method", "hals")), "cichocki2009"),
    ("connectome.ntf", Some(("method", "mu")), "lee2001"),
    ("connectome.ntf", None, "williams2018"),
    ("connectome.rank", Some(("criterion", "core_consistency")), "bro2003"),
    ("connectome.rank", None, "williams2018"),
    ("connectome.sbm", None, "peixoto2017"),
    ("connectome.sbm", None, "peixoto2018"),
    ("connectome.sbm", None, "peixoto2020"),
    ("connectome.sbm", Some(("nested", "true")), "peixoto2014"),
    ("decode.classify", Some(("model", "lda")), "ledoit2004"),
    ("decode.classify", Some(("model", "lda(shrinkage = oas")), "chen2010"),
    ("decode.eeg", Some(("model", "csp")), "blankertz2008"),
    ("decode.eeg", Some(("model", "mdm")), "barachant2012"),
    ("decode.eeg", Some(("model", "tangent_space")), "barachant2012"),
    ("decode.eeg", Some(("covariance", "oas")), "chen2010"),
    ("decode.eeg", Some(("covariance", "ledoit_wolf")), "ledoit2004"),
    ("decode.eeg", Some(("align", "euclidean")), "he2020"),
    ("decode.group", None, "saravanan2020"),
    ("decode.group", Some(("correction", "fdr")), "benjamini1995"),
    ("decode.group", Some(("correction", "holm")), "holm1979"),
    ("decode.time_resolved", None, "king2014"),
    ("decode.time_resolved", Some(("correction", "max")), "nichols2002"),
    ("decode.time_resolved", Some(("correction", "fdr")), "benjamini1995"),
    ("decode.time_resolved", Some(("correction", "cluster")), "maris2007"),
    ("decode.time_resolved", Some(("model", "lda")), "ledoit2004"),
    ("decode.time_resolved", Some(("model", "lda(shrinkage = oas")), "chen2010"),
    ("decode.trajectory", Some(("model", "kalman")), "wu2006"),
    ("decode.transfer", Some(("align", "procrustes")), "haxby2011"),
    ("decode.transfer", Some(("model", "lda")), "ledoit2004"),
    ("decode.transfer", Some(("model", "lda(shrinkage = oas")), "chen2010"),
    ("ingest.deconvolve", None, "friedrich2017"),
    ("ingest.psd", Some(("method", "welch")), "welch1967"),
    ("ingest.psd", Some(("method", "multitaper")), "thomson1982"),
    ("ingest.quality", None, "hill2011"),
    ("ingest.sample_entropy", None, "richman2000"),
    ("similarity.cca", Some(("method", "svcca")), "raghu2017"),
    ("similarity.cca", Some(("method", "pwcca")), "morcos2018"),
    ("similarity.cka", None, "kornblith2019"),
    ("similarity.encode", Some(("bands", "layers")), "dupre2022"),
    ("similarity.encode", None, "naselaris2011"),
    ("similarity.group_rsa", None, "nili2014"),
    ("similarity.group_rsa", Some(("resample", "both")), "schutt2023"),
    ("similarity.group_rsa", Some(("compare", "rho_a")), "schutt2023"),
    ("similarity.group_rsa", Some(("compare", "whitened")), "diedrichsen2021"),
    ("similarity.noise_ceiling", None, "spearman1910"),
    ("similarity.noise_ceiling", None, "brown1910"),
    ("similarity.procrustes", None, "williams2021"),
    ("similarity.rdm", None, "kriegeskorte2008"),
    ("similarity.rdm", Some(("measure", "crossnobis")), "walther2016"),
    ("similarity.rdm", Some(("measure", "mahalanobis")), "walther2016"),
    ("similarity.rsa", None, "kriegeskorte2008"),
    ("similarity.rsa", Some(("compare", "rho_a")), "schutt2023"),
    ("similarity.rsa", Some(("compare", "whitened")), "diedrichsen2021"),
    ("train.features", None, "adelson1985"),
];

/// Controls by permutation, whatever the stage.
const PERMUTATIONS: &str = "phipson2010";

/// What is to be cited for a call: `param` gives a parameter's value as it is written.
pub(crate) fn of_call<'a>(stage: &str, param: impl Fn(&str) -> Option<&'a str>) -> Vec<&'static Reference> {
    let fits =
        |(of, only, _): &Cited| *of == stage && only.is_none_or(|(name, word)| param(name).is_some_and(|value| value.starts_with(word)));
    let fitting: Vec<&Cited> = CITED.iter().filter(|cited| fits(cited)).collect();
    // Of words for one parameter the most exact counts: what is not written is the default, which the shortest stands for.
    let is_exact = |(_, only, _): &&&Cited| {
        let longer = |(name, word): (&str, &str)| {
            fitting.iter().filter_map(|(_, other, _)| *other).any(|(of, more)| of == name && more.len() > word.len())
        };
        !only.is_some_and(longer)
    };
    fitting.iter().filter(is_exact).filter_map(|(_, _, key)| reference(key)).collect()
}

/// What is to be cited for p values of controls.
pub(crate) fn of_permutations() -> Option<&'static Reference> {
    reference(PERMUTATIONS)
}

/// A publication by its key.
pub(crate) fn reference(key: &str) -> Option<&'static Reference> {
    REFERENCES.iter().find(|reference| reference.key == key)
}

const REFERENCES: &[Reference] = &[
    Reference {
        key: "adelson1985",
        authors: &[("Adelson", "Edward H."), ("Bergen", "James R.")],
        title: "Spatiotemporal energy models for the perception of motion",
        kind: Publication::Article,
        venue: "Journal of the Optical Society of America A",
        year: 1985,
        volume: "2(2)",
        pages: "284-299",
        at: "10.1364/JOSAA.2.000284",
    },
    Reference {
        key: "barachant2012",
        authors: &[("Barachant", "Alexandre"), ("Bonnet", "Stéphane"), ("Congedo", "Marco"), ("Jutten", "Christian")],
        title: "Multiclass brain-computer interface classification by Riemannian geometry",
        kind: Publication::Article,
        venue: "IEEE Transactions on Biomedical Engineering",
        year: 2012,
        volume: "59(4)",
        pages: "920-928",
        at: "10.1109/TBME.2011.2172210",
    },
    Reference {
        key: "benjamini1995",
        authors: &[("Benjamini", "Yoav"), ("Hochberg", "Yosef")],
        title: "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
        kind: Publication::Article,
        venue: "Journal of the Royal Statistical Society: Series B (Methodological)",
        year: 1995,
        volume: "57(1)",
        pages: "289-300",
        at: "10.1111/j.2517-6161.1995.tb02031.x",
    },
    Reference {
        key: "blankertz2008",
        authors: &[
            ("Blankertz", "Benjamin"),
            ("Tomioka", "Ryota"),
            ("Lemm", "Steven"),
            ("Kawanabe", "Motoaki"),
            ("Müller", "Klaus-Robert"),
        ],
        title: "Optimizing spatial filters for robust EEG single-trial analysis",
        kind: Publication::Article,
        venue: "IEEE Signal Processing Magazine",
        year: 2008,
        volume: "25(1)",
        pages: "41-56",
        at: "10.1109/MSP.2008.4408441",
    },
    Reference {
        key: "bro2003",
        authors: &[("Bro", "Rasmus"), ("Kiers", "Henk A. L.")],
        title: "A new efficient method for determining the number of components in PARAFAC models",
        kind: Publication::Article,
        venue: "Journal of Chemometrics",
        year: 2003,
        volume: "17(5)",
        pages: "274-286",
        at: "10.1002/cem.801",
    },
    Reference {
        key: "brown1910",
        authors: &[("Brown", "William")],
        title: "Some experimental results in the correlation of mental abilities",
        kind: Publication::Article,
        venue: "British Journal of Psychology",
        year: 1910,
        volume: "3(3)",
        pages: "296-322",
        at: "10.1111/j.2044-8295.1910.tb00207.x",
    },
    Reference {
        key: "chen2010",
        authors: &[("Chen", "Yilun"), ("Wiesel", "Ami"), ("Eldar", "Yonina C."), ("Hero", "Alfred O.")],
        title: "Shrinkage algorithms for MMSE covariance estimation",
        kind: Publication::Article,
        venue: "IEEE Transactions on Signal Processing",
        year: 2010,
        volume: "58(10)",
        pages: "5016-5029",
        at: "10.1109/TSP.2010.2053029",
    },
    Reference {
        key: "cichocki2009",
        authors: &[("Cichocki", "Andrzej"), ("Phan", "Anh-Huy")],
        title: "Fast local algorithms for large scale nonnegative matrix and tensor factorizations",
        kind: Publication::Article,
        venue: "IEICE Transactions on Fundamentals of Electronics, Communications and Computer Sciences",
        year: 2009,
        volume: "E92-A(3)",
        pages: "708-721",
        at: "10.1587/transfun.E92.A.708",
    },
    Reference {
        key: "diedrichsen2021",
        authors: &[
            ("Diedrichsen", "Jörn"),
            ("Berlot", "Eva"),
            ("Mur", "Marieke"),
            ("Schütt", "Heiko H."),
            ("Shahbazi", "Mahdiyar"),
            ("Kriegeskorte", "Nikolaus"),
        ],
        title: "Comparing representational geometries using whitened unbiased-distance-matrix similarity",
        kind: Publication::Article,
        venue: "Neurons, Behavior, Data Analysis, and Theory",
        year: 2021,
        volume: "5(3)",
        pages: "1-31",
        at: "10.51628/001c.27664",
    },
    Reference {
        key: "dupre2022",
        authors: &[("Dupré la Tour", "Tom"), ("Eickenberg", "Michael"), ("Nunez-Elizalde", "Anwar O."), ("Gallant", "Jack L.")],
        title: "Feature-space selection with banded ridge regression",
        kind: Publication::Article,
        venue: "NeuroImage",
        year: 2022,
        volume: "264",
        pages: "119728",
        at: "10.1016/j.neuroimage.2022.119728",
    },
    Reference {
        key: "friedrich2017",
        authors: &[("Friedrich", "Johannes"), ("Zhou", "Pengcheng"), ("Paninski", "Liam")],
        title: "Fast online deconvolution of calcium imaging data",
        kind: Publication::Article,
        venue: "PLoS Computational Biology",
        year: 2017,
        volume: "13(3)",
        pages: "e1005423",
        at: "10.1371/journal.pcbi.1005423",
    },
    Reference {
        key: "haxby2011",
        authors: &[
            ("Haxby", "James V."),
            ("Guntupalli", "J. Swaroop"),
            ("Connolly", "Andrew C."),
            ("Halchenko", "Yaroslav O."),
            ("Conroy", "Bryan R."),
            ("Gobbini", "M. Ida"),
            ("Hanke", "Michael"),
            ("Ramadge", "Peter J."),
        ],
        title: "A common, high-dimensional model of the representational space in human ventral temporal cortex",
        kind: Publication::Article,
        venue: "Neuron",
        year: 2011,
        volume: "72(2)",
        pages: "404-416",
        at: "10.1016/j.neuron.2011.08.026",
    },
    Reference {
        key: "he2020",
        authors: &[("He", "He"), ("Wu", "Dongrui")],
        title: "Transfer learning for brain-computer interfaces: a Euclidean space data alignment approach",
        kind: Publication::Article,
        venue: "IEEE Transactions on Biomedical Engineering",
        year: 2020,
        volume: "67(2)",
        pages: "399-410",
        at: "10.1109/TBME.2019.2913914",
    },
    Reference {
        key: "hill2011",
        authors: &[("Hill", "Daniel N."), ("Mehta", "Samar B."), ("Kleinfeld", "David")],
        title: "Quality metrics to accompany spike sorting of extracellular signals",
        kind: Publication::Article,
        venue: "Journal of Neuroscience",
        year: 2011,
        volume: "31(24)",
        pages: "8699-8705",
        at: "10.1523/JNEUROSCI.0971-11.2011",
    },
    Reference {
        key: "holm1979",
        authors: &[("Holm", "Sture")],
        title: "A simple sequentially rejective multiple test procedure",
        kind: Publication::Article,
        venue: "Scandinavian Journal of Statistics",
        year: 1979,
        volume: "6(2)",
        pages: "65-70",
        at: "https://www.jstor.org/stable/4615733",
    },
    Reference {
        key: "king2014",
        authors: &[("King", "Jean-Rémi"), ("Dehaene", "Stanislas")],
        title: "Characterizing the dynamics of mental representations: the temporal generalization method",
        kind: Publication::Article,
        venue: "Trends in Cognitive Sciences",
        year: 2014,
        volume: "18(4)",
        pages: "203-210",
        at: "10.1016/j.tics.2014.01.002",
    },
    Reference {
        key: "kornblith2019",
        authors: &[("Kornblith", "Simon"), ("Norouzi", "Mohammad"), ("Lee", "Honglak"), ("Hinton", "Geoffrey")],
        title: "Similarity of neural network representations revisited",
        kind: Publication::Proceedings,
        venue: "Proceedings of the 36th International Conference on Machine Learning",
        year: 2019,
        volume: "97",
        pages: "3519-3529",
        at: "https://proceedings.mlr.press/v97/kornblith19a.html",
    },
    Reference {
        key: "kriegeskorte2008",
        authors: &[("Kriegeskorte", "Nikolaus"), ("Mur", "Marieke"), ("Bandettini", "Peter")],
        title: "Representational similarity analysis – connecting the branches of systems neuroscience",
        kind: Publication::Article,
        venue: "Frontiers in Systems Neuroscience",
        year: 2008,
        volume: "2",
        pages: "4",
        at: "10.3389/neuro.06.004.2008",
    },
    Reference {
        key: "lachaux1999",
        authors: &[("Lachaux", "Jean-Philippe"), ("Rodriguez", "Eugenio"), ("Martinerie", "Jacques"), ("Varela", "Francisco J.")],
        title: "Measuring phase synchrony in brain signals",
        kind: Publication::Article,
        venue: "Human Brain Mapping",
        year: 1999,
        volume: "8(4)",
        pages: "194-208",
        at: "10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C",
    },
    Reference {
        key: "ledoit2004",
        authors: &[("Ledoit", "Olivier"), ("Wolf", "Michael")],
        title: "A well-conditioned estimator for large-dimensional covariance matrices",
        kind: Publication::Article,
        venue: "Journal of Multivariate Analysis",
        year: 2004,
        volume: "88(2)",
        pages: "365-411",
        at: "10.1016/S0047-259X(03)00096-4",
    },
    Reference {
        key: "lee2001",
        authors: &[("Lee", "Daniel D."), ("Seung", "H. Sebastian")],
        title: "Algorithms for non-negative matrix factorization",
        kind: Publication::Proceedings,
        venue: "Advances in Neural Information Processing Systems",
        year: 2001,
        volume: "13",
        pages: "556-562",
        at: "https://papers.nips.cc/paper/1861-algorithms-for-non-negative-matrix-factorization",
    },
    Reference {
        key: "maris2007",
        authors: &[("Maris", "Eric"), ("Oostenveld", "Robert")],
        title: "Nonparametric statistical testing of EEG- and MEG-data",
        kind: Publication::Article,
        venue: "Journal of Neuroscience Methods",
        year: 2007,
        volume: "164(1)",
        pages: "177-190",
        at: "10.1016/j.jneumeth.2007.03.024",
    },
    Reference {
        key: "morcos2018",
        authors: &[("Morcos", "Ari S."), ("Raghu", "Maithra"), ("Bengio", "Samy")],
        title: "Insights on representational similarity in neural networks with canonical correlation",
        kind: Publication::Proceedings,
        venue: "Advances in Neural Information Processing Systems",
        year: 2018,
        volume: "31",
        pages: "5732-5741",
        at: "https://arxiv.org/abs/1806.05759",
    },
    Reference {
        key: "naselaris2011",
        authors: &[("Naselaris", "Thomas"), ("Kay", "Kendrick N."), ("Nishimoto", "Shinji"), ("Gallant", "Jack L.")],
        title: "Encoding and decoding in fMRI",
        kind: Publication::Article,
        venue: "NeuroImage",
        year: 2011,
        volume: "56(2)",
        pages: "400-410",
        at: "10.1016/j.neuroimage.2010.07.073",
    },
    Reference {
        key: "nichols2002",
        authors: &[("Nichols", "Thomas E."), ("Holmes", "Andrew P.")],
        title: "Nonparametric permutation tests for functional neuroimaging: a primer with examples",
        kind: Publication::Article,
        venue: "Human Brain Mapping",
        year: 2002,
        volume: "15(1)",
        pages: "1-25",
        at: "10.1002/hbm.1058",
    },
    Reference {
        key: "nili2014",
        authors: &[
            ("Nili", "Hamed"),
            ("Wingfield", "Cai"),
            ("Walther", "Alexander"),
            ("Su", "Li"),
            ("Marslen-Wilson", "William"),
            ("Kriegeskorte", "Nikolaus"),
        ],
        title: "A toolbox for representational similarity analysis",
        kind: Publication::Article,
        venue: "PLoS Computational Biology",
        year: 2014,
        volume: "10(4)",
        pages: "e1003553",
        at: "10.1371/journal.pcbi.1003553",
    },
    Reference {
        key: "nolte2004",
        authors: &[("Nolte", "Guido"), ("Bai", "Ou"), ("Wheaton", "Lewis"), ("Mari", "Zoltan"), ("Vorbach", "Sherry"), ("Hallett", "Mark")],
        title: "Identifying true brain interaction from EEG data using the imaginary part of coherency",
        kind: Publication::Article,
        venue: "Clinical Neurophysiology",
        year: 2004,
        volume: "115(10)",
        pages: "2292-2307",
        at: "10.1016/j.clinph.2004.04.029",
    },
    Reference {
        key: "peixoto2014",
        authors: &[("Peixoto", "Tiago P.")],
        title: "Hierarchical block structures and high-resolution model selection in large networks",
        kind: Publication::Article,
        venue: "Physical Review X",
        year: 2014,
        volume: "4(1)",
        pages: "011047",
        at: "10.1103/PhysRevX.4.011047",
    },
    Reference {
        key: "peixoto2017",
        authors: &[("Peixoto", "Tiago P.")],
        title: "Nonparametric Bayesian inference of the microcanonical stochastic block model",
        kind: Publication::Article,
        venue: "Physical Review E",
        year: 2017,
        volume: "95(1)",
        pages: "012317",
        at: "10.1103/PhysRevE.95.012317",
    },
    Reference {
        key: "peixoto2018",
        authors: &[("Peixoto", "Tiago P.")],
        title: "Nonparametric weighted stochastic block models",
        kind: Publication::Article,
        venue: "Physical Review E",
        year: 2018,
        volume: "97(1)",
        pages: "012306",
        at: "10.1103/PhysRevE.97.012306",
    },
    Reference {
        key: "peixoto2020",
        authors: &[("Peixoto", "Tiago P.")],
        title: "Merge-split Markov chain Monte Carlo for community detection",
        kind: Publication::Article,
        venue: "Physical Review E",
        year: 2020,
        volume: "102(1)",
        pages: "012305",
        at: "10.1103/PhysRevE.102.012305",
    },
    Reference {
        key: "phipson2010",
        authors: &[("Phipson", "Belinda"), ("Smyth", "Gordon K.")],
        title: "Permutation p-values should never be zero: calculating exact p-values when permutations are randomly drawn",
        kind: Publication::Article,
        venue: "Statistical Applications in Genetics and Molecular Biology",
        year: 2010,
        volume: "9(1)",
        pages: "39",
        at: "10.2202/1544-6115.1585",
    },
    Reference {
        key: "raghu2017",
        authors: &[("Raghu", "Maithra"), ("Gilmer", "Justin"), ("Yosinski", "Jason"), ("Sohl-Dickstein", "Jascha")],
        title: "SVCCA: singular vector canonical correlation analysis for deep learning dynamics and interpretability",
        kind: Publication::Proceedings,
        venue: "Advances in Neural Information Processing Systems",
        year: 2017,
        volume: "30",
        pages: "6076-6085",
        at: "https://arxiv.org/abs/1706.05806",
    },
    Reference {
        key: "richman2000",
        authors: &[("Richman", "Joshua S."), ("Moorman", "J. Randall")],
        title: "Physiological time-series analysis using approximate entropy and sample entropy",
        kind: Publication::Article,
        venue: "American Journal of Physiology-Heart and Circulatory Physiology",
        year: 2000,
        volume: "278(6)",
        pages: "H2039-H2049",
        at: "10.1152/ajpheart.2000.278.6.H2039",
    },
    Reference {
        key: "saravanan2020",
        authors: &[("Saravanan", "Varun"), ("Berman", "Gordon J."), ("Sober", "Samuel J.")],
        title: "Application of the hierarchical bootstrap to multi-level data in neuroscience",
        kind: Publication::Article,
        venue: "Neurons, Behavior, Data Analysis, and Theory",
        year: 2020,
        volume: "3(5)",
        pages: "1-25",
        at: "10.51628/001c.13927",
    },
    Reference {
        key: "schutt2023",
        authors: &[("Schütt", "Heiko H."), ("Kipnis", "Alexander D."), ("Diedrichsen", "Jörn"), ("Kriegeskorte", "Nikolaus")],
        title: "Statistical inference on representational geometries",
        kind: Publication::Article,
        venue: "eLife",
        year: 2023,
        volume: "12",
        pages: "e82566",
        at: "10.7554/eLife.82566",
    },
    Reference {
        key: "spearman1910",
        authors: &[("Spearman", "Charles")],
        title: "Correlation calculated from faulty data",
        kind: Publication::Article,
        venue: "British Journal of Psychology",
        year: 1910,
        volume: "3(3)",
        pages: "271-295",
        at: "10.1111/j.2044-8295.1910.tb00206.x",
    },
    Reference {
        key: "thomson1982",
        authors: &[("Thomson", "David J.")],
        title: "Spectrum estimation and harmonic analysis",
        kind: Publication::Article,
        venue: "Proceedings of the IEEE",
        year: 1982,
        volume: "70(9)",
        pages: "1055-1096",
        at: "10.1109/PROC.1982.12433",
    },
    Reference {
        key: "traag2019",
        authors: &[("Traag", "Vincent A."), ("Waltman", "Ludo"), ("van Eck", "Nees Jan")],
        title: "From Louvain to Leiden: guaranteeing well-connected communities",
        kind: Publication::Article,
        venue: "Scientific Reports",
        year: 2019,
        volume: "9(1)",
        pages: "5233",
        at: "10.1038/s41598-019-41695-z",
    },
    Reference {
        key: "vinck2011",
        authors: &[
            ("Vinck", "Martin"),
            ("Oostenveld", "Robert"),
            ("van Wingerden", "Marijn"),
            ("Battaglia", "Francesco"),
            ("Pennartz", "Cyriel M. A."),
        ],
        title: "An improved index of phase-synchronization for electrophysiological data in the presence of volume-conduction, noise and sample-size bias",
        kind: Publication::Article,
        venue: "NeuroImage",
        year: 2011,
        volume: "55(4)",
        pages: "1548-1565",
        at: "10.1016/j.neuroimage.2011.01.055",
    },
    Reference {
        key: "walther2016",
        authors: &[
            ("Walther", "Alexander"),
            ("Nili", "Hamed"),
            ("Ejaz", "Naveed"),
            ("Alink", "Arjen"),
            ("Kriegeskorte", "Nikolaus"),
            ("Diedrichsen", "Jörn"),
        ],
        title: "Reliability of dissimilarity measures for multi-voxel pattern analysis",
        kind: Publication::Article,
        venue: "NeuroImage",
        year: 2016,
        volume: "137",
        pages: "188-200",
        at: "10.1016/j.neuroimage.2015.12.012",
    },
    Reference {
        key: "welch1967",
        authors: &[("Welch", "Peter D.")],
        title: "The use of fast Fourier transform for the estimation of power spectra: a method based on time averaging over short, modified periodograms",
        kind: Publication::Article,
        venue: "IEEE Transactions on Audio and Electroacoustics",
        year: 1967,
        volume: "15(2)",
        pages: "70-73",
        at: "10.1109/TAU.1967.1161901",
    },
    Reference {
        key: "williams2018",
        authors: &[
            ("Williams", "Alex H."),
            ("Kim", "Tony Hyun"),
            ("Wang", "Forea"),
            ("Vyas", "Saurabh"),
            ("Ryu", "Stephen I."),
            ("Shenoy", "Krishna V."),
            ("Schnitzer", "Mark"),
            ("Kolda", "Tamara G."),
            ("Ganguli", "Surya"),
        ],
        title: "Unsupervised discovery of demixed, low-dimensional neural dynamics across multiple timescales through tensor component analysis",
        kind: Publication::Article,
        venue: "Neuron",
        year: 2018,
        volume: "98(6)",
        pages: "1099-1115.e8",
        at: "10.1016/j.neuron.2018.05.015",
    },
    Reference {
        key: "williams2021",
        authors: &[("Williams", "Alex H."), ("Kunz", "Erin"), ("Kornblith", "Simon"), ("Linderman", "Scott W.")],
        title: "Generalized shape metrics on neural representations",
        kind: Publication::Proceedings,
        venue: "Advances in Neural Information Processing Systems",
        year: 2021,
        volume: "34",
        pages: "4738-4750",
        at: "https://arxiv.org/abs/2110.14739",
    },
    Reference {
        key: "wu2006",
        authors: &[("Wu", "Wei"), ("Gao", "Yun"), ("Bienenstock", "Elie"), ("Donoghue", "John P."), ("Black", "Michael J.")],
        title: "Bayesian population decoding of motor cortical activity using a Kalman filter",
        kind: Publication::Article,
        venue: "Neural Computation",
        year: 2006,
        volume: "18(1)",
        pages: "80-118",
        at: "10.1162/089976606774841585",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_citation_is_of_a_stage_that_there_is_and_a_reference_that_is_whole() {
        let registry = crate::stages::registry();
        for (stage, only, key) in CITED {
            let known = registry.get(stage).unwrap_or_else(|| panic!("there is no stage {stage}"));
            assert!(reference(key).is_some(), "{key}");
            if let Some((name, _)) = only {
                assert!(known.signature().params.iter().any(|param| param.name == *name), "{stage} has no parameter {name}");
            }
        }
        for (at, one) in REFERENCES.iter().enumerate() {
            assert!(at == 0 || REFERENCES[at - 1].key < one.key, "{} stands in the wrong place", one.key);
            assert!(CITED.iter().any(|(_, _, key)| *key == one.key) || one.key == PERMUTATIONS, "{} is cited nowhere", one.key);
            assert!(!one.authors.is_empty() && !one.title.is_empty() && !one.venue.is_empty() && one.key.ends_with(&one.year.to_string()));
            assert!(one.at.starts_with("10.") || one.at.starts_with("https://"), "{}", one.key);
        }
    }

    #[test]
    fn a_call_is_cited_for_what_it_does() {
        let keys = |stage: &str, name: &str, value: &'static str| -> Vec<&str> {
            of_call(stage, |asked| (asked == name).then_some(value)).into_iter().map(|one| one.key).collect()
        };
        assert_eq!(keys("ingest.psd", "method", "welch(segment = 1 s)"), ["welch1967"]);
        assert_eq!(keys("decode.classify", "model", "lda(shrinkage = oas)"), ["chen2010"]);
        assert_eq!(keys("decode.classify", "model", "lda(shrinkage = pooled)"), ["ledoit2004"]);
        assert_eq!(keys("decode.classify", "model", "lda"), ["ledoit2004"]);
        assert_eq!(keys("decode.classify", "model", "bayes"), Vec::<&str>::new());
        assert_eq!(keys("ingest.trials", "x", "y"), Vec::<&str>::new());
    }
}
