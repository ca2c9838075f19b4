//! Partitions of nodes into communities.

use crate::artifact::{Artifact, Meta, Typed};
use crate::axis::Axis;
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;

/// A community for each node, numbered from 0 in the order of first appearance.
#[derive(Debug, Clone, PartialEq)]
pub struct Communities {
    nodes: Axis,
    membership: Vec<usize>,
    /// Facts about the fit, such as `description_length` in nats.
    pub facts: Vec<(String, f64)>,
}

impl Communities {
    /// Builds a partition; communities are renumbered in the order of first appearance.
    ///
    /// # Errors
    /// When there is not one community for each node.
    pub fn new(nodes: Axis, membership: &[usize]) -> Result<Communities, DataError> {
        if nodes.len() != membership.len() {
            return Err(DataError::WrongLength { what: "membership".into(), expected: nodes.len(), found: membership.len() });
        }
        let mut names: Vec<usize> = Vec::new();
        let renumbered = membership
            .iter()
            .map(|community| {
                names.iter().position(|name| name == community).unwrap_or_else(|| {
                    names.push(*community);
                    names.len() - 1
                })
            })
            .collect();
        Ok(Communities { nodes, membership: renumbered, facts: Vec::new() })
    }

    /// The node axis.
    pub fn nodes(&self) -> &Axis {
        &self.nodes
    }

    /// The community of each node.
    pub fn membership(&self) -> &[usize] {
        &self.membership
    }

    /// The number of communities.
    pub fn count(&self) -> usize {
        self.membership.iter().max().map_or(0, |most| most + 1)
    }
}

impl Typed for Communities {
    const KIND: Kind = Kind::Communities;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let labels: Vec<String> = (0..self.nodes.len()).map(|node| self.nodes.coordinates.label(node)).collect();
        let membership = self.membership.iter().map(|&community| i64::try_from(community).unwrap_or(i64::MAX)).collect();
        let table = Table::from_columns(vec![columns::from_texts("node", &labels), columns::from_integers("community", membership)])?;
        let mut meta = Meta { axes: vec![self.nodes], ..Meta::default() };
        for (name, value) in self.facts {
            meta.attributes.insert(name, serde_json::json!(value));
        }
        Ok(Artifact::from_batch(Kind::Communities, table.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Communities, DataError> {
        let batch = artifact.batch_of(Kind::Communities)?;
        let nodes = artifact.meta().axes.first().cloned().ok_or_else(|| DataError::Decode("a partition without nodes".into()))?;
        let membership: Vec<usize> = columns::integers(batch, "community")?
            .into_iter()
            .map(|community| usize::try_from(community).map_err(|_| DataError::Decode(format!("community {community}"))))
            .collect::<Result<_, _>>()?;
        let mut communities = Communities::new(nodes, &membership)?;
        communities.facts = artifact.meta().attributes.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        Ok(communities)
    }
}
