//! Metrics of the most probable class.

use super::{Kind, Predictions, Scored, ratio};

/// `matrix[true class][predicted class]` = rows.
pub fn confusion_matrix(p: &Predictions) -> Vec<Vec<usize>> {
    let mut matrix = vec![vec![0; p.n_classes()]; p.n_classes()];
    for (class, &target) in p.classes().into_iter().zip(p.target) {
        matrix[target as usize][class] += 1;
    }
    matrix
}

/// Counts of one class, or sums of such.
pub(super) struct Tally {
    /// Rows of the class that are called so.
    hits: usize,
    /// Rows that are called so.
    called: usize,
    /// Rows of the class.
    actual: usize,
}

impl Tally {
    fn new(matrix: &[Vec<usize>], class: usize) -> Self {
        let called = matrix.iter().map(|row| row[class]).sum();
        Self { hits: matrix[class][class], called, actual: matrix[class].iter().sum() }
    }

    /// Of the rows called so, the share that is (0 if none is called so).
    pub fn precision(&self) -> f64 {
        ratio(self.hits, self.called)
    }

    /// Of the rows of the class, the share that is found (0 if there is none).
    pub fn recall(&self) -> f64 {
        ratio(self.hits, self.actual)
    }

    /// Harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.hits, self.called + self.actual)
    }
}

fn tallies(s: &Scored) -> Vec<Tally> {
    let matrix = s.confusion();
    (0..matrix.len()).map(|class| Tally::new(matrix, class)).collect()
}

pub(super) fn of_class_1(s: &Scored, score: fn(&Tally) -> f64) -> f64 {
    score(&Tally::new(s.confusion(), 1))
}

/// Plain mean over the classes that occur in targets or predictions.
pub(super) fn macro_mean(s: &Scored, score: fn(&Tally) -> f64) -> f64 {
    let scores: Vec<f64> = tallies(s).iter().filter(|tally| tally.called + tally.actual > 0).map(score).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// Mean over the classes, weighted by their rows.
pub(super) fn weighted_mean(s: &Scored, score: fn(&Tally) -> f64) -> f64 {
    tallies(s).iter().map(|tally| tally.actual as f64 * score(tally)).sum::<f64>() / s.rows.n_rows()
}

/// Score of the summed counts. For one label per row precision, recall and F1 are all the accuracy.
pub(super) fn micro(s: &Scored, score: fn(&Tally) -> f64) -> f64 {
    let sum =
        |a: Tally, b: Tally| Tally { hits: a.hits + b.hits, called: a.called + b.called, actual: a.actual + b.actual };
    score(&tallies(s).into_iter().fold(Tally { hits: 0, called: 0, actual: 0 }, sum))
}

/// Share of rows whose most probable class is right.
pub(super) fn accuracy(s: &Scored) -> f64 {
    tallies(s).iter().map(|tally| tally.hits as f64).sum::<f64>() / s.rows.n_rows()
}

/// Mean recall of the classes that occur in the targets.
pub(super) fn balanced_accuracy(s: &Scored) -> f64 {
    let recalls: Vec<f64> = tallies(s).iter().filter(|tally| tally.actual > 0).map(Tally::recall).collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// Matthews' correlation of true and predicted classes (Gorodkin 2004 for more than two); 0 where either is constant.
pub(super) fn matthews_correlation(s: &Scored) -> f64 {
    let (tallies, n) = (tallies(s), s.rows.n_rows());
    let sum = |term: fn(&Tally) -> f64| tallies.iter().map(term).sum::<f64>();
    let covariance = n * sum(|t| t.hits as f64) - sum(|t| t.called as f64 * t.actual as f64);
    let of_called = n * n - sum(|t| (t.called as f64).powi(2));
    let of_actual = n * n - sum(|t| (t.actual as f64).powi(2));
    if of_called * of_actual == 0.0 { 0.0 } else { covariance / (of_called * of_actual).sqrt() }
}

/// How well one class is told from the others.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScores {
    /// Of the rows called so, the share that is; 0 if none is called so.
    pub precision: f64,
    /// Of the rows of the class, the share that is found; 0 if there is none.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Rows of the class.
    pub support: usize,
    /// Area under the ROC curve against all other classes; NaN where one side is empty.
    pub auc: f64,
}

/// Scores of every class by index; empty for regression.
pub fn per_class_report(predictions: &Predictions) -> Vec<ClassScores> {
    if predictions.kind == Kind::Regression {
        return Vec::new();
    }
    let scored = Scored::new(predictions);
    let rankings = scored.rankings();
    // Binary has one ranking: class 0 is ranked from behind, with the same area.
    let auc = |class: usize| rankings.get(class).unwrap_or(&rankings[0]).area();
    let report = |(class, tally): (usize, &Tally)| ClassScores {
        precision: tally.precision(),
        recall: tally.recall(),
        f1: tally.f1(),
        support: tally.actual,
        auc: auc(class),
    };
    tallies(&scored).iter().enumerate().map(report).collect()
}
