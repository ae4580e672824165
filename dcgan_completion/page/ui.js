// What the page shows of itself: messages, buttons, downloads.

export const $ = id => document.getElementById(id);

export function showStatus(text) {
  $("status").textContent = text;
}

export function showError(error) {
  if (error?.name === "AbortError") return;
  $("error").textContent = error?.message ?? String(error);
  $("error").hidden = false;
}

export const clearError = () => { $("error").hidden = true; };

// Runs what an event asks for, and shows what goes wrong.
export function listen(target, type, call) {
  target.addEventListener(type, async event => {
    try {
      await call(event);
    } catch (error) {
      showError(error);
    }
  });
}

export const on = (id, type, call) => listen($(id), type, call);

export function makeButton(call, ...content) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...content);
  listen(button, "click", call);
  return button;
}

// A picture beside a text, so that it has none of its own.
export function makeImage(blob) {
  const image = new Image();
  image.alt = "";
  image.src = URL.createObjectURL(blob);
  image.onload = () => URL.revokeObjectURL(image.src);
  return image;
}

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
