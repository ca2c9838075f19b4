//! The assignment of rows to columns of least total cost, by shortest augmenting paths (Jonker & Volgenant 1987; Crouse 2016, as in SciPy).

use crate::error::finite;
use crate::{ComputeError, Matrix};

/// Which column each row is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The column of each row; `None` for rows left over when there are more rows than columns.
    pub columns: Vec<Option<usize>>,
    /// The total cost.
    pub cost: f64,
}

/// Gives each row its own column (each column its own row, when columns are fewer) so that the summed cost is least. `O(n³)`. For the greatest sum, negate the matrix. Refuses values that are not finite.
pub fn assign(costs: &Matrix) -> Result<Assignment, ComputeError> {
    finite("assignment", costs.values())?;
    let columns = if costs.rows() <= costs.cols() {
        shortest_paths(costs).into_iter().map(Some).collect()
    } else {
        let mut columns = vec![None; costs.rows()];
        for (column, row) in shortest_paths(&costs.transposed()).into_iter().enumerate() {
            columns[row] = Some(column);
        }
        columns
    };
    let cost = columns.iter().enumerate().filter_map(|(row, column)| column.map(|column| costs[(row, column)])).sum();
    Ok(Assignment { columns, cost })
}

/// The column of each row, for at most as many rows as columns.
fn shortest_paths(costs: &Matrix) -> Vec<usize> {
    let (rows, cols) = costs.shape();
    let mut row_prices = vec![0.0; rows];
    let mut column_prices = vec![0.0; cols];
    let mut row_of: Vec<Option<usize>> = vec![None; cols];
    let mut column_of = vec![0; rows];
    for start in 0..rows {
        let mut distance = vec![f64::INFINITY; cols];
        let mut previous = vec![start; cols];
        let mut open: Vec<usize> = (0..cols).collect();
        let mut done = Vec::new();
        let (mut row, mut least) = (start, 0.0);
        let end = loop {
            let mut nearest = 0;
            for (place, &column) in open.iter().enumerate() {
                let through = least + costs[(row, column)] - row_prices[row] - column_prices[column];
                if through < distance[column] {
                    distance[column] = through;
                    previous[column] = row;
                }
                let best = open[nearest];
                // Of equally near columns a free one ends the search at once.
                if distance[column] < distance[best]
                    || (distance[column] == distance[best] && row_of[column].is_none() && row_of[best].is_some())
                {
                    nearest = place;
                }
            }
            let column = open.remove(nearest);
            least = distance[column];
            match row_of[column] {
                None => break column,
                Some(next) => {
                    done.push((column, next));
                    row = next;
                }
            }
        };
        row_prices[start] += least;
        for &(column, taken_by) in &done {
            row_prices[taken_by] += least - distance[column];
            column_prices[column] -= least - distance[column];
        }
        // Turn the path around.
        let mut column = end;
        loop {
            let row = previous[column];
            row_of[column] = Some(row);
            let before = column_of[row];
            column_of[row] = column;
            if row == start {
                break;
            }
            column = before;
        }
    }
    column_of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_assignments_are_found() {
        let costs = Matrix::new(3, 3, vec![4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0]).unwrap();
        assert_eq!(assign(&costs).unwrap(), Assignment { columns: vec![Some(1), Some(0), Some(2)], cost: 5.0 });
        let tall = Matrix::new(3, 1, vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(assign(&tall).unwrap(), Assignment { columns: vec![None, Some(0), None], cost: 1.0 });
        assert_eq!(assign(&Matrix::zeros(0, 4)).unwrap(), Assignment { columns: vec![], cost: 0.0 });
        assert_eq!(assign(&Matrix::zeros(2, 0)).unwrap().columns, [None, None]);
        assert!(assign(&costs.map(|value| value / 0.0)).is_err());
    }

    fn least_by_trying_all(costs: &Matrix, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == costs.rows() {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for column in 0..costs.cols() {
            if !taken[column] {
                taken[column] = true;
                least = least.min(costs[(row, column)] + least_by_trying_all(costs, row + 1, taken));
                taken[column] = false;
            }
        }
        least
    }

    proptest! {
        #[test]
        fn no_assignment_is_cheaper(rows in 1usize..6, more in 0usize..3, values in prop::collection::vec(-9i32..10, 48)) {
            let cols = rows + more;
            let costs = Matrix::from_fn(rows, cols, |row, col| f64::from(values[row * cols + col]));
            let found = assign(&costs).unwrap();
            prop_assert_eq!(found.cost, least_by_trying_all(&costs, 0, &mut vec![false; cols]));
            prop_assert_eq!(assign(&costs.transposed()).unwrap().cost, found.cost);
            let mut used: Vec<usize> = found.columns.into_iter().flatten().collect();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), rows);
        }
    }
}
