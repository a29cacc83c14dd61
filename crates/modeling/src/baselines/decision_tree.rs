//! A tree for two classes. `linfa-trees` finds each split, on the node's rows alone; the head of `baselines.rs` says
//! why.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2, ShapeBuilder};
use serde::{Deserialize, Serialize};

use super::rows::Rows;
use super::{BaselineConfig, Error, Parameters};

/// Impurity is computed in `f32`: less than this is rounding.
const LEAST_DECREASE: f64 = 1e-6;

/// One node of a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Share of class 1 among the train rows here.
    pub value: f64,
    /// Train rows here.
    pub rows: usize,
    /// `None` in a leaf.
    pub split: Option<Split>,
}

/// Where rows go from a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The column that is looked at, from 0.
    pub column: usize,
    /// Rows up to this value go left.
    pub threshold: f64,
    /// Number of the left node.
    pub left: usize,
    /// Number of the right node.
    pub right: usize,
}

/// What stays the same from node to node.
struct Training<'a> {
    rows: &'a Rows,
    classes: Vec<usize>,
    /// `[columns]`: linfa takes values that differ by less than 1e-5 for equal, so it gets them in standard
    /// deviations.
    deviations: Vec<f64>,
    config: &'a BaselineConfig,
}

pub(super) fn fit(rows: &Rows, config: &BaselineConfig) -> Result<Parameters, Error> {
    let n = rows.n_rows() as f64;
    let deviation = |sum: f64| if sum > 0.0 { (sum / n).sqrt() } else { 1.0 };
    let deviations = rows.x.columns().into_iter().map(|x| deviation(x.dot(&x))).collect();
    let training = Training { rows, classes: rows.classes(), deviations, config };
    let mut nodes = Vec::new();
    training.grow((0..rows.n_rows()).collect(), 0, &mut nodes)?;
    Ok(Parameters::Tree { nodes })
}

impl Training<'_> {
    /// Adds the node of these rows and all below it; gives its number.
    fn grow(&self, members: Vec<usize>, depth: usize, nodes: &mut Vec<Node>) -> Result<usize, Error> {
        let number = nodes.len();
        let positives = members.iter().filter(|&&row| self.classes[row] == 1).count();
        let value = positives as f64 / members.len() as f64;
        nodes.push(Node { value, rows: members.len(), split: None });
        let is_pure = positives == 0 || positives == members.len();
        if is_pure || depth == self.config.max_depth || members.len() < 2 * self.config.min_rows_per_leaf {
            return Ok(number);
        }
        if let Some((column, centred)) = self.best_split(&members)? {
            let goes_left = |&row: &usize| self.rows.x[[row, column]] <= centred;
            let (left, right): (Vec<usize>, Vec<usize>) = members.iter().partition(|row| goes_left(row));
            if !left.is_empty() && !right.is_empty() {
                drop(members);
                let left = self.grow(left, depth + 1, nodes)?;
                let right = self.grow(right, depth + 1, nodes)?;
                let threshold = centred + self.rows.centre[column];
                nodes[number].split = Some(Split { column, threshold, left, right });
            }
        }
        Ok(number)
    }

    /// Column and threshold, in centred units. linfa removes a split between children of the same class, but the root
    /// still says which one it was.
    fn best_split(&self, members: &[usize]) -> Result<Option<(usize, f64)>, Error> {
        let columns = self.rows.n_columns();
        let mut values = Vec::with_capacity(members.len() * columns);
        for (x, deviation) in self.rows.x.columns().into_iter().zip(&self.deviations) {
            values.extend(members.iter().map(|&row| x[row] / deviation));
        }
        let x = Array2::from_shape_vec((members.len(), columns).f(), values).expect("members x columns values");
        let classes: Array1<usize> = members.iter().map(|&row| self.classes[row]).collect();
        let tree = DecisionTree::params()
            .max_depth(Some(1))
            .min_weight_leaf(self.config.min_rows_per_leaf as f32)
            .min_impurity_decrease(LEAST_DECREASE)
            .fit(&Dataset::new(x, classes))
            .map_err(|error| Error::Solver { kind: "decision_tree", reason: error.to_string() })?;
        let (column, threshold, decrease) = tree.root_node().split();
        Ok((decrease > 0.0).then_some((column, threshold * self.deviations[column])))
    }
}

/// The value of the leaf that a row comes to.
pub(super) fn predict(nodes: &[Node], row: &[f32]) -> f64 {
    let mut node = &nodes[0];
    while let Some(split) = &node.split {
        let goes_left = f64::from(row[split.column]) <= split.threshold;
        node = &nodes[if goes_left { split.left } else { split.right }];
    }
    node.value
}

/// Whether every way from the root ends in a leaf.
pub(super) fn is_whole(nodes: &[Node], columns: usize) -> bool {
    let leads_on = |(number, node): (usize, &Node)| {
        node.split.as_ref().is_none_or(|split| {
            let children = [split.left, split.right];
            split.column < columns && children.iter().all(|&child| child > number && child < nodes.len())
        })
    };
    !nodes.is_empty() && nodes.iter().enumerate().all(leads_on)
}
