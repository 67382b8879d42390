//! A hub of one repository on this machine, with faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// What every revision stands for.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Closes the connection in the middle of so many bodies.
    BreaksOff {
        answers: usize,
    },
    /// Answers a request for the rest with the whole.
    IgnoresRanges,
    /// Has no rest of anything.
    RefusesRanges,
    /// Never answers.
    Silent,
    /// Sends a byte now and then.
    Drips,
    /// Answers 503 so many times.
    Busy {
        answers: usize,
    },
    /// Refuses the list of files, or the files.
    Status {
        listing: bool,
        status: u16,
        code: &'static str,
    },
    /// Ends the weights early, and means it.
    LessThanAnnounced,
    /// Goes on after the announced end.
    MoreThanAnnounced,
    /// Sends bytes of another file.
    OtherBytes,
    /// Has another file by the time it is asked for.
    OtherEtag,
    /// Has another commit by then.
    OtherCommit,
    /// Keeps large files elsewhere.
    Redirects {
        to: String,
    },
    /// Keeps all files at another path of its own.
    RedirectsToItself,
    /// Leads nowhere.
    RedirectsForEver,
}

/// Hex SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

struct Asked {
    method: String,
    path: String,
    token: Option<String>,
    from: Option<usize>,
}

struct Shared {
    files: BTreeMap<&'static str, Vec<u8>>,
    fault: Fault,
    faults_left: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
    stopped: AtomicBool,
}

/// Serves until it is dropped.
pub(crate) struct Server {
    at: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(files: Vec<(&'static str, Vec<u8>)>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let faults = match fault {
            Fault::BreaksOff { answers } | Fault::Busy { answers } => answers,
            _ => usize::MAX,
        };
        let shared = Arc::new(Shared {
            files: files.into_iter().collect(),
            fault,
            faults_left: AtomicUsize::new(faults),
            asked: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let inside = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if inside.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&inside);
                thread::spawn(move || stream.map(|stream| shared.serve(stream)));
            }
        });
        Self { at, shared }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.at)
    }

    /// The path of each request.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked(|asked| Some(asked.path.clone()))
    }

    /// The token of each request.
    pub(crate) fn tokens(&self) -> Vec<Option<String>> {
        self.asked(|asked| Some(asked.token.clone()))
    }

    /// The first byte of each request for a rest.
    pub(crate) fn ranges(&self) -> Vec<usize> {
        self.asked(|asked| asked.from.filter(|_| asked.method == "GET"))
    }

    fn asked<T>(&self, of: impl FnMut(&Asked) -> Option<T>) -> Vec<T> {
        self.shared.asked.lock().unwrap().iter().filter_map(of).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.at)); // wakes the listener
    }
}

impl Shared {
    /// One request; the connection ends with the answer.
    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(first) = lines.next() else { return };
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut asked = Asked { method, path, token: None, from: None };
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "authorization" => asked.token = Some(value.to_owned()),
                "range" => {
                    let from = value.strip_prefix("bytes=").and_then(|it| it.strip_suffix('-'));
                    asked.from = from.map(|from| from.parse().unwrap());
                }
                _ => {}
            }
        }
        let (path, head, from) = (asked.path.clone(), asked.method == "HEAD", asked.from);
        self.asked.lock().unwrap().push(asked);
        // A client that has seen enough hangs up: no matter to the server.
        drop(self.answer(&mut stream, &path, head, from));
    }

    fn answer(
        &self,
        to: &mut TcpStream,
        path: &str,
        head: bool,
        from: Option<usize>,
    ) -> std::io::Result<()> {
        let listing = path.starts_with("/api/");
        match &self.fault {
            Fault::Silent => {
                thread::sleep(Duration::from_secs(3));
                return Ok(());
            }
            Fault::Busy { .. } if self.takes_fault() => {
                return write!(to, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
            }
            Fault::Status { listing: at, status, code } if *at == listing => {
                return write!(
                    to,
                    "HTTP/1.1 {status} No\r\nx-error-code: {code}\r\nx-error-message: as told\r\n\
                     content-length: 0\r\nconnection: close\r\n\r\n"
                );
            }
            _ => {}
        }
        if listing {
            let names = self.files.keys().map(|name| format!(r#"{{"rfilename": "{name}"}}"#));
            let names = names.collect::<Vec<_>>().join(", ");
            let body = format!(r#"{{"sha": "{COMMIT}", "siblings": [{names}]}}"#);
            return send(to, "200 OK", "", body.as_bytes(), false);
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some(bytes) = self.files.get(name) else {
            return send(to, "404 Not Found", "x-error-code: EntryNotFound\r\n", b"", false);
        };
        self.send_file(to, path, bytes, head, from)
    }

    fn send_file(
        &self,
        to: &mut TcpStream,
        path: &str,
        bytes: &[u8],
        head: bool,
        from: Option<usize>,
    ) -> std::io::Result<()> {
        let large = bytes.len() > 1000;
        // As the hub does: SHA-256 for large files, git's shorter digest for small ones.
        let etag = &digest(bytes)[..if large { 64 } else { 40 }];
        let (mut etag, mut commit) = (etag.to_owned(), COMMIT.to_owned());
        let linked = format!("x-linked-etag: \"{etag}\"\r\nx-linked-size: {}\r\n", bytes.len());
        let moved = |target: String| {
            format!("location: {target}\r\nx-repo-commit: {COMMIT}\r\n{linked}etag: \"other\"\r\n")
        };
        match &self.fault {
            Fault::Redirects { to: store } if large => {
                return send(to, "302 Found", &moved(format!("{store}{path}")), b"", head);
            }
            Fault::RedirectsToItself if !path.starts_with("/kept") => {
                return send(to, "307 There", &moved(format!("/kept{path}")), b"", head);
            }
            Fault::RedirectsForEver => {
                let headers = format!("location: {path}\r\n");
                return send(to, "307 There", &headers, b"", head);
            }
            Fault::RefusesRanges if from.is_some() => {
                return send(to, "416 No Such Range", "", b"", head);
            }
            Fault::OtherEtag if !head => etag = "f".repeat(etag.len()),
            Fault::OtherCommit if !head => commit = "f".repeat(40),
            _ => {}
        }
        let start = if self.fault == Fault::IgnoresRanges { 0 } else { from.unwrap_or(0) };
        let mut headers = format!("etag: \"{etag}\"\r\nx-repo-commit: {commit}\r\n");
        let mut status = "200 OK";
        if from.is_some() && self.fault != Fault::IgnoresRanges {
            status = "206 Partial Content";
            let (last, size) = (bytes.len() - 1, bytes.len());
            headers.extend(["content-range: ", &format!("bytes {start}-{last}/{size}\r\n")]);
        }
        let body = &bytes[start..];
        match self.fault {
            Fault::BreaksOff { .. } if !head && self.breaks(large) => {
                write_head(to, status, &headers, body.len())?;
                to.write_all(&body[..body.len() / 2])
            }
            Fault::Drips if !head => {
                write_head(to, status, &headers, body.len())?;
                for byte in body {
                    to.write_all(&[*byte])?;
                    to.flush()?;
                    thread::sleep(Duration::from_millis(200));
                }
                Ok(())
            }
            Fault::LessThanAnnounced if !head && large => {
                send(to, status, &headers, &body[..body.len().min(1000)], head)
            }
            Fault::MoreThanAnnounced if !head && large => {
                send(to, status, &headers, &[body, b"more"].concat(), head)
            }
            Fault::OtherBytes if !head && large => {
                send(to, status, &headers, &vec![7; body.len()], head)
            }
            _ => send(to, status, &headers, body, head),
        }
    }

    /// Whether this body is cut: all of them, or so many of the large ones.
    fn breaks(&self, large: bool) -> bool {
        self.fault == Fault::BreaksOff { answers: usize::MAX } || (large && self.takes_fault())
    }

    fn takes_fault(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.faults_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}

fn send(
    to: &mut TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
    head: bool,
) -> std::io::Result<()> {
    write_head(to, status, headers, body.len())?;
    if head { Ok(()) } else { to.write_all(body) }
}

fn write_head(
    to: &mut TcpStream,
    status: &str,
    headers: &str,
    length: usize,
) -> std::io::Result<()> {
    write!(
        to,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    )
}
