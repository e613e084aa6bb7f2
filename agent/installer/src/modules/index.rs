//! The files that `depmod` writes, read and asked. Pure.

use std::collections::BTreeMap;

/// `modules.alias`, `modules.dep` and `modules.softdep` of one kernel.
#[derive(Debug, Default)]
pub struct Index {
    /// Pattern and module, by what stands before the first colon: buses have thousands of patterns each.
    aliases: BTreeMap<String, Vec<(String, String)>>,
    /// Module name to its file and the files it depends on, nearest first.
    files: BTreeMap<String, Vec<String>>,
    /// Module name to what has to be there before it.
    before: BTreeMap<String, Vec<String>>,
}

impl Index {
    /// Reads the three files; lines that are not understood are passed over.
    #[must_use]
    pub fn parse(alias: &str, dependencies: &str, soft: &str) -> Self {
        let mut index = Self::default();
        for line in alias.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) =
                (words.next(), words.next(), words.next())
            {
                let entry = (pattern.to_owned(), name_of(module));
                index
                    .aliases
                    .entry(bus(pattern).to_owned())
                    .or_default()
                    .push(entry);
            }
        }
        for line in dependencies.lines() {
            if let Some((file, rest)) = line.split_once(':') {
                let mut files = vec![file.to_owned()];
                files.extend(rest.split_whitespace().map(str::to_owned));
                index.files.insert(name_of(file), files);
            }
        }
        for line in soft.lines() {
            let mut words = line.split_whitespace();
            if let (Some("softdep"), Some(module)) = (words.next(), words.next()) {
                let before = words
                    .skip_while(|word| *word != "pre:")
                    .skip(1)
                    .take_while(|word| *word != "post:")
                    .map(str::to_owned);
                index
                    .before
                    .entry(name_of(module))
                    .or_default()
                    .extend(before);
            }
        }
        index
    }

    /// Names of the modules that `alias` stands for: itself where it is a module, else all patterns that match.
    #[must_use]
    pub fn resolve(&self, alias: &str) -> Vec<String> {
        let own = name_of(alias);
        if self.files.contains_key(&own) {
            return vec![own];
        }
        let patterns = self.aliases.get(bus(alias)).into_iter().flatten();
        let mut modules: Vec<String> = patterns
            .filter(|(pattern, _)| matches(pattern.as_bytes(), alias.as_bytes()))
            .map(|(_, module)| module.clone())
            .collect();
        modules.dedup();
        modules
    }

    /// Files to load for a module, in order, itself last. Nothing for what is built in.
    #[must_use]
    pub fn order(&self, module: &str) -> Vec<String> {
        let mut order = Vec::new();
        self.visit(module, &mut Vec::new(), &mut order);
        order
    }

    fn visit(&self, module: &str, path: &mut Vec<String>, order: &mut Vec<String>) {
        let Some(files) = self.files.get(module) else {
            return;
        };
        // Soft dependencies may form a circle.
        if path.iter().any(|above| above == module) {
            return;
        }
        path.push(module.to_owned());
        for soft in self.before.get(module).into_iter().flatten() {
            for module in self.resolve(soft) {
                self.visit(&module, path, order);
            }
        }
        if let Some((own, dependencies)) = files.split_first() {
            // depmod lists what is needed first last.
            for file in dependencies.iter().rev() {
                self.visit(&name_of(file), path, order);
            }
            if !order.contains(own) {
                order.push(own.clone());
            }
        }
        path.pop();
    }
}

/// `kernel/net/foo-bar.ko` and `foo-bar` are the module `foo_bar`.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".ko").unwrap_or(file).replace('-', "_")
}

/// What stands before the first colon; `""` where there is none or where it is itself a pattern.
fn bus(alias: &str) -> &str {
    alias.split_once(':').map_or("", |(bus, _)| bus)
}

/// Shell patterns as in fnmatch: `*`, `?` and `[...]`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star, if what follows it did not fit.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) => one(pattern.get(p..).unwrap_or_default(), text.get(t).copied()),
            None => None,
        };
        match (step, star) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                p = after;
                t = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

/// Length of the pattern's first element if it fits `byte`.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<usize> {
    let byte = byte?;
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().position(|byte| *byte == b']')?;
            let set = pattern.get(1..end)?;
            let mut rest = set;
            loop {
                match rest {
                    [low, b'-', high, tail @ ..] => {
                        if (*low..=*high).contains(&byte) {
                            return Some(end + 1);
                        }
                        rest = tail;
                    }
                    [single, tail @ ..] => {
                        if *single == byte {
                            return Some(end + 1);
                        }
                        rest = tail;
                    }
                    [] => return None,
                }
            }
        }
        literal => (*literal == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests;
