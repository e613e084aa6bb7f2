//! The list of points to die at: one line each, `<point> <hits to let pass>`, the first line counts. Pure.

/// What a hit does to the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The list says nothing about the point.
    Pass,
    /// Let pass this time; the list is this from now on.
    Count(String),
    /// Die; the list is this from now on.
    Die(String),
}

/// Judges a hit of `point`.
pub(crate) fn judge(list: &str, point: &str) -> Verdict {
    let (first, rest) = list.split_once('\n').unwrap_or((list, ""));
    let (name, count) = first.split_once(' ').unwrap_or((first, "0"));
    if name.trim() != point {
        return Verdict::Pass;
    }
    match count.trim().parse::<u32>() {
        Ok(left @ 1..) => Verdict::Count(format!("{name} {}\n{rest}", left - 1)),
        Ok(0) | Err(_) => Verdict::Die(rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_counts_and_is_used_up() {
        let list = "agent.a.before 1\nagent.b.after 0\n";
        assert_eq!(judge(list, "agent.b.after"), Verdict::Pass);
        assert_eq!(
            judge(list, "agent.a.before"),
            Verdict::Count("agent.a.before 0\nagent.b.after 0\n".to_owned())
        );
        assert_eq!(
            judge("agent.a.before 0\nagent.b.after 0\n", "agent.a.before"),
            Verdict::Die("agent.b.after 0\n".to_owned())
        );
        assert_eq!(judge("", "agent.a.before"), Verdict::Pass);
    }
}
