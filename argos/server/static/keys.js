// Keyboard: "/" searches, Escape closes the open menu; a click elsewhere closes it too.
const menu = () => document.querySelector("details.who[open]");

function isTyping(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu()) {
    const open = menu();
    open.open = false;
    open.querySelector("summary").focus();
    return;
  }
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key !== "/" || !isPlain || isTyping(event.target)) return;
  const field = document.querySelector(".filters input[type=search], .search input");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

document.addEventListener("click", (event) => {
  const open = menu();
  if (open && !open.contains(event.target)) open.open = false;
});
