//! Does signed order flow say where the mid goes? Rank correlation, judged out of sample.
//!
//! Fed with aggressive orders and mids on a fixed clock; feeds `ballast calibrate`. Calibration's
//! thread. Imbalance over a window is `(bought − sold)/(bought + sold)`, 0 where nothing traded; the
//! markout is the change of the mid over the next interval. The window is chosen on the first part
//! of a recording and judged on the rest, with ranks (Spearman), so that one jump proves nothing.

/// An aggressive order's place on the clock and its signed size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flow {
    /// Seconds since the start.
    pub at_s: f64,
    /// Size, bought positive.
    pub signed: f64,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FlowFit {
    /// The window chosen, in seconds.
    pub window_s: f64,
    /// Rank correlation in the part that chose it.
    pub in_sample: f64,
    /// Rank correlation in the rest.
    pub out_of_sample: f64,
    /// Its standard error if there were nothing in it: `1/√(n − 1)`.
    pub error: f64,
    /// Markouts in the rest.
    pub count: usize,
}

/// Imbalance over `window_s` up to each moment, one every `interval_s` from `interval_s` on. Both
/// greater than zero.
pub fn imbalances(flow: &[Flow], moments: usize, interval_s: f64, window_s: f64) -> Vec<f64> {
    let (mut next, mut first) = (0, 0);
    (1..=moments)
        .map(|n| {
            let now = n as f64 * interval_s;
            while flow.get(next).is_some_and(|order| order.at_s <= now) {
                next += 1;
            }
            while first < next && flow[first].at_s <= now - window_s {
                first += 1;
            }
            let (mut net, mut gross) = (0.0, 0.0);
            for order in &flow[first..next] {
                net += order.signed;
                gross += libm::fabs(order.signed);
            }
            if gross > 0.0 { net / gross } else { 0.0 }
        })
        .collect()
}

/// Ranks from 1, equals sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let value = values[order[from]];
        let equal = order[from..].iter().take_while(|place| values[**place] == value).count();
        let mean = from as f64 + (equal as f64 + 1.0) / 2.0;
        for place in &order[from..from + equal] {
            ranks[*place] = mean;
        }
        from += equal;
    }
    ranks
}

/// Spearman's rank correlation; 0 where one side never changes.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (ranks(&a[..n]), ranks(&b[..n]));
    let mean = (n as f64 + 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        let (a, b) = (a - mean, b - mean);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    if aa > 0.0 && bb > 0.0 { ab / libm::sqrt(aa * bb) } else { 0.0 }
}

/// Chooses among `windows_s` on the first half and judges on the second. `mids` stand `interval_s`
/// apart, the first at 0. `None` where fewer than three markouts are known in either half.
pub fn validate(
    flow: &[Flow],
    mids: &[Option<f64>],
    interval_s: f64,
    windows_s: &[f64],
) -> Option<FlowFit> {
    let moments = mids.len().saturating_sub(2);
    let split = moments / 2;
    let pairs = |imbalances: &[f64], from: usize, to: usize| -> (Vec<f64>, Vec<f64>) {
        (from..to).filter_map(|n| Some((imbalances[n], mids[n + 2]? - mids[n + 1]?))).unzip()
    };
    let mut best: Option<FlowFit> = None;
    for &window_s in windows_s {
        let imbalances = imbalances(flow, moments, interval_s, window_s);
        let (x, y) = pairs(&imbalances, 0, split);
        let (later_x, later_y) = pairs(&imbalances, split, moments);
        if x.len() < 3 || later_x.len() < 3 {
            continue;
        }
        let in_sample = rank_correlation(&x, &y);
        if best.is_none_or(|best| in_sample > best.in_sample) {
            let count = later_x.len();
            best = Some(FlowFit {
                window_s,
                in_sample,
                out_of_sample: rank_correlation(&later_x, &later_y),
                error: 1.0 / libm::sqrt(count as f64 - 1.0),
                count,
            });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_what_is_equal() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[10.0, 400.0, 401.0]), 1.0);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        assert_eq!(rank_correlation(&[1.0, 1.0], &[3.0, 2.0]), 0.0);
    }

    #[test]
    fn imbalance_forgets_what_left_the_window() {
        let flow = [(0.5, 2.0), (1.5, -1.0), (2.5, -1.0)];
        let flow = flow.map(|(at_s, signed)| Flow { at_s, signed });
        assert_eq!(imbalances(&flow, 4, 1.0, 1.0), [1.0, -1.0, -1.0, 0.0]);
        assert_eq!(imbalances(&flow, 3, 1.0, 2.0), [1.0, 1.0 / 3.0, -1.0]);
    }

    #[test]
    fn flow_that_leads_the_mid_is_found_and_flow_that_does_not_is_not() {
        let side = |n: usize| if n * 2_654_435_761 % 7 < 3 { -1.0 } else { 1.0 };
        let flow: Vec<Flow> =
            (0..400).map(|n| Flow { at_s: n as f64 + 0.5, signed: side(n) }).collect();
        // The mid follows each order a second later.
        let mut mid = 0.0;
        let mut mids = vec![Some(0.0), Some(0.0)];
        mids.extend((0..398).map(|n| {
            mid += side(n);
            Some(mid)
        }));
        let led = validate(&flow, &mids, 1.0, &[1.0, 30.0]).unwrap();
        assert_eq!((led.window_s, led.out_of_sample), (1.0, 1.0));
        let unrelated: Vec<Option<f64>> =
            (0..400u64).map(|n| Some((n * n * 40_503 % 1_009) as f64)).collect();
        let nothing = validate(&flow, &unrelated, 1.0, &[1.0]).unwrap();
        assert!(nothing.out_of_sample.abs() < 3.0 * nothing.error, "{nothing:?}");
    }

    #[test]
    fn a_recording_too_short_to_judge_has_no_verdict() {
        assert_eq!(validate(&[], &[Some(1.0); 6], 1.0, &[1.0]), None);
        assert_eq!(validate(&[], &[], 1.0, &[1.0]), None);
    }
}
