//! Axes: every dimension of every tensor has a name, and may have a unit and coordinates.

use serde::{Deserialize, Serialize};

/// Where the positions along an axis lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// Positions are only counted; the number is the length.
    Count(usize),
    /// A number for each position, in the axis' unit.
    Numbers(Vec<f64>),
    /// A name for each position.
    Labels(Vec<String>),
}

impl Coordinates {
    /// The number of positions.
    pub fn len(&self) -> usize {
        match self {
            Coordinates::Count(length) => *length,
            Coordinates::Numbers(numbers) => numbers.len(),
            Coordinates::Labels(labels) => labels.len(),
        }
    }

    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A name for position `position`: its label, its number, or its count from zero.
    pub fn label(&self, position: usize) -> String {
        match self {
            Coordinates::Count(_) => position.to_string(),
            Coordinates::Numbers(numbers) => numbers.get(position).map_or_else(String::new, |number| format!("{number}")),
            Coordinates::Labels(labels) => labels.get(position).cloned().unwrap_or_default(),
        }
    }

    /// The same kind of coordinates for a choice of positions; positions past the end are left out.
    pub fn select(&self, positions: &[usize]) -> Coordinates {
        match self {
            Coordinates::Count(_) => Coordinates::Count(positions.len()),
            Coordinates::Numbers(numbers) => Coordinates::Numbers(positions.iter().filter_map(|&p| numbers.get(p).copied()).collect()),
            Coordinates::Labels(labels) => Coordinates::Labels(positions.iter().filter_map(|&p| labels.get(p).cloned()).collect()),
        }
    }
}

/// One named dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// The field's word for it: `trial`, `unit`, `bin`, `condition`, …
    pub name: String,
    /// The unit of number coordinates, such as `s` or `deg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Where the positions lie.
    pub coordinates: Coordinates,
    /// Further properties of each position, such as a unit's planted community. Each is as long as the axis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<(String, Coordinates)>,
}

impl Axis {
    /// An axis that is only counted.
    pub fn count(name: impl Into<String>, length: usize) -> Axis {
        Axis { name: name.into(), unit: None, coordinates: Coordinates::Count(length), properties: Vec::new() }
    }

    /// An axis with a number for each position.
    pub fn numbers(name: impl Into<String>, unit: Option<&str>, numbers: Vec<f64>) -> Axis {
        Axis { name: name.into(), unit: unit.map(str::to_owned), coordinates: Coordinates::Numbers(numbers), properties: Vec::new() }
    }

    /// An axis with a name for each position.
    pub fn labels(name: impl Into<String>, labels: Vec<String>) -> Axis {
        Axis { name: name.into(), unit: None, coordinates: Coordinates::Labels(labels), properties: Vec::new() }
    }

    /// The same axis with one more property. The property must be as long as the axis; [`crate::Tensor::new`] checks it.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, values: Coordinates) -> Axis {
        self.properties.push((name.into(), values));
        self
    }

    /// The number of positions.
    pub fn len(&self) -> usize {
        self.coordinates.len()
    }

    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A property by name.
    pub fn property(&self, name: &str) -> Option<&Coordinates> {
        self.properties.iter().find(|(property, _)| property == name).map(|(_, values)| values)
    }

    /// The same axis with a choice of positions, properties included.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Axis {
        Axis {
            name: self.name.clone(),
            unit: self.unit.clone(),
            coordinates: self.coordinates.select(positions),
            properties: self.properties.iter().map(|(name, values)| (name.clone(), values.select(positions))).collect(),
        }
    }
}

/// Axis names joined for messages: `trial × unit × bin`.
pub fn describe(axes: &[Axis]) -> String {
    axes.iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>().join(" × ")
}
