// Which test images are shown, and what rows say of each: the browser's side of leaderboard/image_choice.py, under the
// setting of the page (classes, keypoints, seeds) and for the rows that are chosen. No DOM.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});

  /** Answers of a row with the seeds of a setting: {seeds: positions in row.seeds, at(seed, instance, keypoint)}; null without any. */
  function answersOf(board, row, setting) {
    const k = board.keypoints.length;
    const seeds = row.seeds.map((_, s) => s).filter((s) => !setting.seeds || setting.seeds.has(row.seeds[s]));
    if (!row.points || !seeds.length) return null;
    return { seeds, at: (s, i, j) => row.points[s].subarray((i * k + j) * 2, (i * k + j) * 2 + 2) };
  }

  /** Whether a Set of names or positions, or null for all, has one. */
  const has = (chosen, position, name) => !chosen || chosen.has(position) || chosen.has(name);

  /** What the setting leaves of a board: instances of each image that are looked at, and keypoints that are. */
  function part(board, setting) {
    const { index, visible, truth: points, classOf } = board.arrays;
    const k = board.keypoints.length;
    const instances = Array.from({ length: board.images }, () => []);
    for (let i = 0; i < board.instances; i++) {
      if (!classOf || has(setting.classes, classOf[i], board.classes.names[classOf[i]])) instances[index[i]].push(i);
    }
    const keypoints = board.keypoints.map((_, j) => j).filter((j) => has(setting.keypoints, j, board.keypoints[j]));
    const labelled = (i, j) => visible[i * k + j] > 0;
    const truth = (i, j) => points.subarray((i * k + j) * 2, (i * k + j) * 2 + 2);
    return { instances, keypoints, labelled, truth, classes: classOf };
  }

  /** Mean distance in px of a row's answers in an image with one seed: NaN where it has none, null where there is nothing. */
  function error(view, answers, s, image) {
    let [sum, count, asked] = [0, 0, 0];
    for (const i of view.instances[image]) {
      for (const j of view.keypoints) {
        if (!view.labelled(i, j)) continue;
        asked++;
        const [x, y] = answers.at(s, i, j);
        if (Number.isNaN(x)) continue;
        const [u, v] = view.truth(i, j);
        sum += Math.hypot(x - u, y - v);
        count++;
      }
    }
    return !asked ? null : count ? sum / count : NaN;
  }

  /** Mean over seeds of `error`; NaN where a seed has no answer. */
  function meanError(view, answers, image) {
    const errors = answers.seeds.map((s) => error(view, answers, s, image));
    if (!errors.length || errors.includes(null)) return null;
    return errors.reduce((sum, one) => sum + one, 0) / errors.length;
  }

  /** In how many images a row's mean error is above a tolerance in px, or an answer is missing. */
  const beyond = (view, answers, tolerance) =>
    view.instances.reduce((count, _, image) => {
      const known = meanError(view, answers, image);
      return count + (known !== null && !(known <= tolerance));
    }, 0);

  /** How far rows are apart about an image: the mean distance of their answers from their median; as image_choice.dispute. */
  function dispute(view, rows, image) {
    let [sum, count] = [0, 0];
    for (const i of view.instances[image]) {
      for (const j of view.keypoints) {
        if (!view.labelled(i, j)) continue;
        const said = rows.flatMap((answers) => answers.seeds.map((s) => answers.at(s, i, j))).filter(([x]) => !Number.isNaN(x));
        if (said.length < 2) continue;
        const [u, v] = [0, 1].map((axis) => median(said.map((point) => point[axis])));
        for (const [x, y] of said) sum += Math.hypot(x - u, y - v);
        count += said.length;
      }
    }
    return count ? sum / count : 0;
  }

  function median(values) {
    const sorted = Float64Array.from(values).sort();
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Positions of images by falling value; of equal ones the earlier first. Values of null are left out. */
  function byValue(images, value, count) {
    const valued = images.map((i) => [i, value(i)]).filter(([, one]) => one !== null);
    const key = (one) => (Number.isNaN(one) ? Infinity : one);
    return valued.sort(([i, a], [j, b]) => (key(a) === key(b) ? i - j : key(b) > key(a) ? 1 : -1)).slice(0, count).map(([i]) => i);
  }

  /** Positions of the images where the rows are worst on average, the worst first; one without an answer comes before all. */
  function worst(view, rows, count) {
    const known = rows.filter((answers) => answers.seeds.length);
    const value = (image) => {
      const errors = known.map((answers) => meanError(view, answers, image));
      return errors.includes(null) || !errors.length ? null : errors.reduce((sum, one) => sum + one, 0) / errors.length;
    };
    return byValue(occupied(view), value, count);
  }

  /** Positions of the images that rows dispute most, without some; none where they agree. */
  function disputed(view, rows, count, without) {
    const value = (image) => (without.includes(image) ? null : dispute(view, rows, image) || null);
    return byValue(occupied(view), value, count);
  }

  /** Positions of images with something to look at. */
  const occupied = (view) => view.instances.flatMap((some, image) => (some.length ? [image] : []));

  KB.galleryChoice = { answersOf, beyond, disputed, error, meanError, part, worst };
})();
