"""The taxonomy as data: what each name in `registry.py` means, where it comes from, what it costs, and its trap.

`attentio attention list` and `show` and the pages in docs/attention are made from this; a test holds that every name
has an entry. Costs are for B sentences, H heads, T queries, S keys and D units a head, beyond projecting each side
once.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Group(NamedTuple):
    """One of the ways in which kinds are told apart, in English and Chinese."""

    english: str
    chinese: str


SIMILARITY = Group("by how a weight is computed", "按权值计算方式")
REGION = Group("by the region attended to", "按计算区域")
INFORMATION = Group("by the information used", "按所用信息")
HISTORY = Group("by what is remembered", "按所记历史")


@dataclass(frozen=True)
class Entry:
    """One kind: its axis is "score", "normalize" or "window", its name the key in that axis's registry."""

    name: str
    axis: str
    chinese: str
    group: Group
    formula: str
    paper: str
    use: str
    cost: str
    trap: str


CATALOG: tuple[Entry, ...] = (
    Entry(
        name="dot",
        axis="score",
        chinese="点乘",
        group=SIMILARITY,
        formula="e_ij = q_i · k_j",
        paper="Luong, Pham and Manning 2015, section 3.1, “dot”",
        use="Queries and keys already live in one space, and are short; nothing is to be learnt.",
        cost="2 B H T S D operations, one matrix product; the fused kernel of torch applies.",
        trap="Scores grow with the square root of D, and softmax saturates. Sizes must be equal.",
    ),
    Entry(
        name="scaled_dot",
        axis="score",
        chinese="缩放点乘",
        group=SIMILARITY,
        formula="e_ij = q_i · k_j / √d",
        paper="Vaswani et al. 2017, eq. 1",
        use="With projections around it, as in `MultiHeadAttention`: the Transformer's score.",
        cost="As dot.",
        trap="d is the size of one head, not of all; and torch's own kernel scales already: scale once.",
    ),
    Entry(
        name="bilinear",
        axis="score",
        chinese="加权点乘（矩阵相乘）",
        group=SIMILARITY,
        formula="e_ij = q_iᵀ W k_j",
        paper="Luong, Pham and Manning 2015, section 3.1, “general”",
        use="Query and key differ in size or meaning; nearly as cheap as dot. A good first choice for an RNN.",
        cost="As dot, after W k once per sentence.",
        trap="Unscaled: with large hidden sizes it saturates as dot does.",
    ),
    Entry(
        name="cosine",
        axis="score",
        chinese="余弦相似度",
        group=SIMILARITY,
        formula="e_ij = τ q_i · k_j / (|q_i| |k_j|)",
        paper="Graves, Wayne and Danihelka 2014 (content addressing); Henry et al. 2020 (query-key normalisation)",
        use="Vectors whose length should not count, or training that diverges because scores grow.",
        cost="As dot, and two norms.",
        trap="Without τ no score exceeds 1 and over many keys the weights are fog; τ is learnt, and starts at 10.",
    ),
    Entry(
        name="linear_concat",
        axis="score",
        chinese="串联（线性）",
        group=SIMILARITY,
        formula="e_ij = w · [q_i; k_j] = w_q · q_i + w_k · k_j",
        paper="none: the tanh of Luong's “concat”, left out",
        use="To be seen failing.",
        cost="B H S D operations once per sentence.",
        trap="Softmax cancels what the query adds, the same for every key: all queries get the same weights.",
    ),
    Entry(
        name="additive",
        axis="score",
        chinese="多层感知机 MLP（加和）",
        group=SIMILARITY,
        formula="e_ij = v · tanh(W q_i + U k_j)",
        paper="Bahdanau, Cho and Bengio 2015, appendix A.1.2; Luong's “concat” with W cut in two",
        use="Small models and small data: a hidden layer compares query and key. The first attention of translation.",
        cost="B H T S D tanh, some 25 times dot's time on long inputs; in chunks its memory is that of dot.",
        trap="Written plainly it holds B H T S D numbers; the backend `chunked` (or Triton) does not.",
    ),
    Entry(
        name="normed_additive",
        axis="score",
        chinese="归一化的 MLP",
        group=SIMILARITY,
        formula="e_ij = g v/|v| · tanh(W q_i + U k_j + b)",
        paper="Salimans and Kingma 2016; Raffel et al. 2017, section 2.4",
        use="Where the size of scores matters: the monotonic kinds, deep RNNs.",
        cost="As additive.",
        trap="g starts at 1/√d: scores are small at first.",
    ),
    Entry(
        name="location",
        axis="score",
        chinese="基于位置",
        group=INFORMATION,
        formula="e_i = W q_i, one entry for each position",
        paper="Luong, Pham and Manning 2015, eq. 8",
        use="To see how far position alone goes.",
        cost="B H T Q L operations, L the largest length.",
        trap="It never looks at a key, and cannot reach beyond `max_length`; longer sources raise.",
    ),
    Entry(
        name="location_aware",
        axis="score",
        chinese="位置感知",
        group=HISTORY,
        formula="f_i = F * a_(i-1);  e_ij = v · tanh(W q_i + V k_j + U f_ij + b)",
        paper="Chorowski et al. 2015, eqs. 8-9",
        use="Nearly monotone alignment, long inputs: where it looked last says where to look now.",
        cost="Additive, a convolution, and T steps one after the other.",
        trap="Sequential in training too. Before the first query the weights are taken as zero.",
    ),
    Entry(
        name="coverage",
        axis="score",
        chinese="覆盖",
        group=HISTORY,
        formula="c_i = Σ_(t<i) a_t;  e_ij = v · tanh(W q_i + U k_j + w_c c_ij + b)",
        paper="See, Liu and Manning 2017, eqs. 10-13",
        use="Output that repeats itself or leaves things out; with `coverage_loss`.",
        cost="Additive, and T steps one after the other.",
        trap="c holds the steps before this one, not this one; the term belongs inside the tanh, not into the values.",
    ),
    Entry(
        name="fertility_coverage",
        axis="score",
        chinese="带繁殖率的覆盖",
        group=HISTORY,
        formula="C_ij = Σ_(t<i) a_tj / Φ_j, Φ_j = N σ(U_f k_j);  e_ij = v · tanh(W q_i + U k_j + V C_ij)",
        paper="Tu et al. 2016, section 3.1",
        use="As coverage, where one source word yields several target words.",
        cost="As coverage.",
        trap="Φ never exceeds `max_fertility`, 2 as in the paper.",
    ),
    Entry(
        name="softmax",
        axis="normalize",
        chinese="软注意力",
        group=REGION,
        formula="a_ij = exp(e_ij) / Σ_k exp(e_ik)",
        paper="Bahdanau, Cho and Bengio 2015, eq. 6",
        use="First.",
        cost="B H T S exponentials.",
        trap="Normalise once, over keys: over an axis of size 1 every weight is 1.",
    ),
    Entry(
        name="sparsemax",
        axis="normalize",
        chinese="稀疏软注意力（sparsemax）",
        group=REGION,
        formula="a_i = argmin_p |p - e_i|² over the simplex = [e_ij - τ_i]₊",
        paper="Martins and Astudillo 2016, eq. 2 and algorithm 1",
        use="Maps to be read: most weights are exactly 0.",
        cost="A sort of each row.",
        trap="No gradient outside the support: a key that gets nothing cannot ask for more.",
    ),
    Entry(
        name="entmax15",
        axis="normalize",
        chinese="稀疏软注意力（1.5-entmax）",
        group=REGION,
        formula="a_ij = [e_ij / 2 - τ_i]₊²",
        paper="Peters, Niculae and Martins 2019, section 3 and algorithm 2",
        use="Between softmax and sparsemax: zeros, and smooth at their edge.",
        cost="A sort of each row.",
        trap="As sparsemax, milder.",
    ),
    Entry(
        name="entmax",
        axis="normalize",
        chinese="稀疏软注意力（α-entmax）",
        group=REGION,
        formula="a_ij = [(α - 1) e_ij - τ_i]₊^(1/(α-1))",
        paper="Peters, Niculae and Martins 2019, eq. 10 and algorithm 1",
        use="To choose how sparse: α → 1 is softmax, 2 is sparsemax; 1.25 unless said otherwise.",
        cost="A bisection of each row: 24 passes in float32.",
        trap="For α = 1.5 and 2 the exact kinds are faster.",
    ),
    Entry(
        name="hard_reinforce",
        axis="normalize",
        chinese="硬注意力（REINFORCE）",
        group=REGION,
        formula="z_i ~ softmax(e_i);  ∇ = E[∇ log p(y|z) + (log p(y|z) - b) ∇ log a(z)]",
        paper="Xu et al. 2015, section 4.1, eqs. 10-12",
        use="One key, chosen: what was looked at is certain. Several heads, contexts that feed back.",
        cost="As softmax; more steps, for its gradient is noisy.",
        trap="Signs and detached costs: -log p minus baseline, times +log a. Feeding back needs rewards to go.",
    ),
    Entry(
        name="hard_marginal",
        axis="normalize",
        chinese="硬注意力（精确边缘化）",
        group=REGION,
        formula="-log Σ_j a_ij p(y_i | s_i, v_j)",
        paper="Wu, Shapiro and Cotterell 2018, section 3; top k: Shankar, Garg and Sarawagi 2018",
        use="Hard attention without sampling, where no context feeds back.",
        cost="The output layer for every key: S times, or k times with `top_k`.",
        trap="It predicts by the mixture, not by the best key; one head, and no score that remembers.",
    ),
    Entry(
        name="hard_straight_through",
        axis="normalize",
        chinese="硬注意力（直通 Gumbel）",
        group=REGION,
        formula="forward onehot(argmax(e + g)), backward softmax((e + g) / temperature), g Gumbel",
        paper="Jang, Gu and Poole 2017, section 2.2; Maddison, Mnih and Teh 2017",
        use="Hard attention with nothing changed in the loss.",
        cost="As softmax.",
        trap="A biased gradient, by design; noise in training only.",
    ),
    Entry(
        name="monotonic",
        axis="normalize",
        chinese="单调注意力",
        group=REGION,
        formula="p_ij = σ(e_ij + r);  q_ij = (1 - p_(i,j-1)) q_(i,j-1) + a_(i-1,j);  a_ij = p_ij q_ij",
        paper="Raffel et al. 2017, eqs. 9-14",
        use="Online decoding, languages in one order: the next query goes on where the last stopped.",
        cost="T rows one after the other, log₂ S passes each; in use, linear.",
        trap="Rows sum to less than 1, and are not to be normalised. It trains on the expectation and is used hard.",
    ),
    Entry(
        name="mocha",
        axis="normalize",
        chinese="单调分块注意力 MoChA",
        group=REGION,
        formula="β_ij = Σ_(k=j..j+w-1) a_ik exp(u_ij) / Σ_(l=k-w+1..k) exp(u_il)",
        paper="Chiu and Raffel 2018, eqs. 11-13",
        use="As monotonic, where the order is right only roughly: soft attention over the last w keys.",
        cost="As monotonic, two scores, and w sums.",
        trap="What it goes on from is where it stopped (a), not what it looked at (β).",
    ),
    Entry(
        name="full",
        axis="window",
        chinese="全局注意力",
        group=REGION,
        formula="every j",
        paper="Luong, Pham and Manning 2015, section 3.1, “global”",
        use="Between two sequences of ordinary length.",
        cost="T S pairs.",
        trap="Padding is not part of the sentence: pass the mask.",
    ),
    Entry(
        name="causal",
        axis="window",
        chinese="自注意力（因果）",
        group=INFORMATION,
        formula="j ≤ i",
        paper="Vaswani et al. 2017, section 3.2.3",
        use="Self-attention of a decoder: query and keys come from one sequence.",
        cost="Half the pairs count; all are computed.",
        trap="While decoding, the position is part of the state: `step` carries it. Add others by `combine_windows`.",
    ),
    Entry(
        name="sliding",
        axis="window",
        chinese="自注意力（滑动窗口）",
        group=INFORMATION,
        formula="|j - i| ≤ radius",
        paper="Beltagy, Peters and Cohan 2020, section 3.1",
        use="Self-attention over long sequences; with causal, by `combine_windows`.",
        cost="T S pairs here, as a mask; 2 radius + 1 keys count.",
        trap="Past the end of a shorter source nothing is left to see, and the context is zero; local-m stays.",
    ),
    Entry(
        name="local-m",
        axis="window",
        chinese="局部注意力（单调对齐）",
        group=REGION,
        formula="|j - p_i| ≤ D, p_i = min(i, S - 1)",
        paper="Luong, Pham and Manning 2015, section 3.2, “local-m”",
        use="Languages in nearly the same order.",
        cost="As full, as a mask.",
        trap="Assumes equal lengths; p stays at the last word of each sentence, not of the padded batch.",
    ),
    Entry(
        name="local-p",
        axis="window",
        chinese="局部注意力（预测对齐）",
        group=REGION,
        formula="p_i = S σ(v · tanh(W q_i));  a_ij exp(-(j - p_i)² / 2σ²), |j - p_i| ≤ D, σ = D/2",
        paper="Luong, Pham and Manning 2015, eqs. 9-10, “local-p”",
        use="Soft within a region, the region chosen by the decoder.",
        cost="As full, and one small layer for each query.",
        trap="The Gaussian comes after the softmax: rows sum to less than 1. W and v learn through it alone. Where the "
        "memory grows, S is what the query sees, i + 1, or the centre would tell how long the rest is.",
    ),
    Entry(
        name="local-p-renormalized",
        axis="window",
        chinese="局部注意力（预测对齐，归一）",
        group=REGION,
        formula="e_ij - (j - p_i)² / 2σ², |j - p_i| ≤ D, p and σ as in local-p",
        paper="Luong, Pham and Manning 2015, eqs. 9-10, with the Gaussian inside the softmax",
        use="As local-p, with weights that sum to 1, and for the hard kinds.",
        cost="As local-p; the fused kernel applies.",
        trap="Not what the paper computes: say which of the two a result is from.",
    ),
    Entry(
        name="relative",
        axis="window",
        chinese="相对位置偏置",
        group=INFORMATION,
        formula="e_ij + b_(j-i), the same beyond max_distance",
        paper="Shaw, Uszkoreit and Vaswani 2018 (clipping); Raffel et al. 2020, section 2.1 (as a number per head)",
        use="Self-attention that should know distance; with any score.",
        cost="One sum.",
        trap="Starts at zero, as if it were not there.",
    ),
)


def entry(name: str) -> Entry:
    """The entry of a kind; KeyError for an unknown name."""
    return {known.name: known for known in CATALOG}[name]
