//! Running a simulation from many seeds, each on one of two threads.

use std::fmt::Debug;

const THREADS: u64 = 2;

/// A simulation, by the name of its variables and of its test.
pub(crate) struct Simulation {
    /// `{variables}_SEED` asks for one schedule, `{variables}_RUNS` for so many.
    pub(crate) variables: &'static str,
    pub(crate) test: &'static str,
    /// When nothing else is asked for.
    pub(crate) runs: u64,
}

/// Says how to see a failure again.
struct Schedule<'a>(&'a Simulation, u64);

impl Drop for Schedule<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Schedule(Simulation { variables, test, .. }, seed) = self;
            eprintln!("reproduce: {variables}_SEED={seed} cargo test -p state --test {test}");
        }
    }
}

impl Simulation {
    /// One outcome a schedule. When somebody asks for a single one, it is printed, and there are none.
    pub(crate) fn outcomes<O: Debug + Send>(&self, run: impl Fn(u64) -> O + Sync) -> Vec<O> {
        let run = |seed| {
            let _schedule = Schedule(self, seed);
            run(seed)
        };
        if let Some(seed) = self.number("SEED") {
            println!("{:?}", run(seed));
            return Vec::new();
        }
        let runs = self.number("RUNS").unwrap_or(self.runs);
        std::thread::scope(|scope| {
            let threads = (0..THREADS).map(|thread| {
                let seeds = (0..runs).filter(move |seed| seed % THREADS == thread);
                scope.spawn(move || seeds.map(run).collect::<Vec<_>>())
            });
            let threads: Vec<_> = threads.collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.flat_map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    fn number(&self, what: &str) -> Option<u64> {
        let name = format!("{}_{what}", self.variables);
        std::env::var(&name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
    }
}
