// Requests to the server.

const token = location.hash.slice(1);
const headers = {Authorization: `Bearer ${token}`};

class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// A successful response; else an error in the server's words.
export async function ask(method, path, {body, signal} = {}) {
  let response;
  try {
    response = await fetch(path, {method, body, signal, headers, cache: "no-store"});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not respond. Is it still running?", 0);
  }
  if (response.ok) return response;
  let text = response.statusText;
  try {
    text = (await response.json()).error;
  } catch { /* not ours */ }
  throw new ServerError(text, response.status);
}

export const askJson = async (...request) => (await ask(...request)).json();
export const askBlob = async (...request) => (await ask(...request)).blob();

// The events of a search, one after the other. To stop reading them ends the search.
export async function* events(path, body, signal) {
  const response = await ask("POST", path, {body, signal});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) yield JSON.parse(part.slice("data: ".length));
  }
}

export function bitmapOf(base64) {
  const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], {type: "image/png"}));
}

// A photo on the server; it is sent again if the server has dropped it.
export class RemotePhoto {
  constructor(file) {
    this.file = file;
    this.info = null;
    this.sending = null;
  }

  async send() {
    this.sending ??= askJson("POST", "/api/photos", {body: this.file});
    try {
      this.info = await this.sending;
    } finally {
      this.sending = null;
    }
    return this.info;
  }

  // Calls a function with the photo's address; once more if the photo was dropped (410).
  async use(call) {
    if (!this.info) await this.send();
    const id = this.info.id;
    try {
      return await call(`/api/photos/${id}`);
    } catch (error) {
      if (error.status !== 410) throw error;
      if (this.info.id === id) await this.send();
      return call(`/api/photos/${this.info.id}`);
    }
  }

  drop() {
    if (this.info) ask("DELETE", `/api/photos/${this.info.id}`).catch(() => {});
  }
}
