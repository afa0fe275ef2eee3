// Exact times in the visitor's own time zone; the server can only say UTC.
const format = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

export function localize(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const since = element.title.startsWith("since") ? "since " : "";
    element.title = `${since}${format.format(moment)}`;
  }
}

localize(document);
