//! Mean and standard deviation over paths, summed in the order given.
//!
//! Fed by the simulated paths; feeds the studies' rows.

/// The mean of what `of` takes of each item.
pub fn mean<T>(items: &[T], of: impl Fn(&T) -> f64) -> f64 {
    items.iter().map(of).sum::<f64>() / items.len().max(1) as f64
}

/// The standard deviation of what `of` takes of each item, around its mean.
pub fn deviation<T>(items: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let centre = mean(items, &of);
    libm::sqrt(mean(items, |item| {
        let distance = of(item) - centre;
        distance * distance
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_does_not_depend_on_where_the_mean_lies() {
        let numbers = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(mean(&numbers, |x| *x), 2.5);
        let near = deviation(&numbers, |x| *x);
        let far = deviation(&numbers, |x| *x + 1e6);
        assert!((near - libm::sqrt(1.25)).abs() < 1e-15 && (near - far).abs() < 1e-9);
    }
}
