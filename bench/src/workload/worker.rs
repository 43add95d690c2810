//! The process that runs a workload: one that was there before the agent and is not the bench's own,
//! whose calls the agent may not report.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use super::{BATCH, Batch, Workload};

/// The arguments that make a process of this program a worker.
pub(crate) fn command(workload: Workload, cpu: usize) -> [String; 3] {
    ["worker".to_owned(), workload.slug().to_owned(), cpu.to_string()]
}

/// A worker process. Ends when dropped.
pub struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    batch: u64,
}

impl Worker {
    /// Starts one on `cpu` and lets it find out how much work fills a batch.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(workload: Workload, cpu: usize) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(command(workload, cpu))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the worker has no output")?);
        let mut worker = Self { child, orders, answers, batch: 1 };
        worker.calibrate()?;
        Ok(worker)
    }

    /// Runs one batch: nanoseconds per operation.
    ///
    /// # Errors
    /// When the workload failed.
    pub fn batch(&mut self) -> Result<f64> {
        self.warm_up()?;
        let took = self.run(self.batch)?;
        Ok(took.as_nanos() as f64 / self.batch as f64)
    }

    fn warm_up(&mut self) -> Result<()> {
        self.run(self.batch.div_ceil(10)).map(drop)
    }

    fn calibrate(&mut self) -> Result<()> {
        let mut times = 1;
        let took = loop {
            let took = self.run(times)?;
            if took > BATCH / 8 {
                break took;
            }
            times *= 2;
        };
        let fits = BATCH.as_secs_f64() / took.as_secs_f64() * times as f64;
        self.batch = (fits as u64).max(1);
        Ok(())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Operations of one batch.
    #[must_use]
    pub const fn batch_size(&self) -> u64 {
        self.batch
    }

    /// Does its work this many times.
    ///
    /// # Errors
    /// When the workload failed.
    pub fn run(&mut self, times: u64) -> Result<Duration> {
        let orders = self.orders.as_mut().context("the worker takes no orders")?;
        writeln!(orders, "{times}").context("the worker is gone")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            bail!("the worker ended: {}", self.child.wait()?);
        }
        Ok(Duration::from_nanos(answer.trim().parse().with_context(|| format!("answer {answer:?}"))?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // At the end of its input it ends.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// What a worker does: reads how many times, does it, writes nanoseconds.
///
/// # Errors
/// When it cannot be pinned, or the workload fails.
pub fn serve(workload: Workload, cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("cannot be pinned to CPU {cpu}"))?;
    answer(&mut *workload.prepare()?, io::stdin().lock(), BufWriter::new(io::stdout().lock()))
}

fn answer(batch: &mut dyn Batch, orders: impl BufRead, mut answers: impl Write) -> Result<()> {
    for order in orders.lines() {
        let times = order?.trim().parse()?;
        let start = Instant::now();
        batch.run(times)?;
        let took = start.elapsed();
        writeln!(answers, "{}", took.as_nanos())?;
        answers.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counted(Vec<u64>);

    impl Batch for Counted {
        fn run(&mut self, times: u64) -> Result<()> {
            self.0.push(times);
            Ok(())
        }
    }

    #[test]
    fn every_order_is_answered_by_a_number() {
        let mut batch = Counted(Vec::new());
        let mut answers = Vec::new();
        answer(&mut batch, &b"3\n70\n"[..], &mut answers).unwrap();
        assert_eq!(batch.0, [3, 70]);
        let answers = String::from_utf8(answers).unwrap();
        assert_eq!(answers.lines().filter_map(|line| line.parse::<u64>().ok()).count(), 2);
        assert!(answer(&mut batch, &b"many\n"[..], Vec::new()).is_err());
    }
}
