{#-
  Where somebody stands among all at an as-of date, by a metric: for a select of one row a user and as-of date. It goes
  by how many others do strictly better (or worse), so that equal values have equal answers, and it never depends on the
  order of rows. Who has no value, or is not `among` those who are compared (a condition), is not ranked.

  The best are the highest. For the lowest write a minus before the metric.
-#}
{#- In the top p per cent: fewer than p per cent do better. -#}
{% macro top_percent(metric=none, percent=none, among=none) -%}
    {%- do refuse_unknown('top_percent', varargs, kwargs) -%}
    {%- if percent is boolean or percent is not number or percent <= 0 or percent >= 100 -%}
        {%- do refuse('top_percent', 'percent is ' ~ percent ~ '; write a number above 0 and below 100') -%}
    {%- endif -%}
    {%- set value = ranked_value('top_percent', metric, among) -%}
    (
        {{ value }} is not null
        and 100 * (rank() over (partition by as_of_date, {{ value }} is null order by {{ value }} desc) - 1)
        < {{ percent }} * count(*) over (partition by as_of_date, {{ value }} is null)
    )
{%- endmacro %}

{#- Among the top n: fewer than n do better. All who share the last place are in. -#}
{% macro top_n(metric=none, n=none, among=none) -%}
    {%- do refuse_unknown('top_n', varargs, kwargs) -%}
    {%- do refuse_unless_whole_number('top_n', 'n', n) -%}
    {%- set value = ranked_value('top_n', metric, among) -%}
    (
        {{ value }} is not null
        and rank() over (partition by as_of_date, {{ value }} is null order by {{ value }} desc) <= {{ n }}
    )
{%- endmacro %}

{#- The quantile, from 1 to `quantiles` (the best), by how many do worse, as the RFM scores are; null if not ranked. -#}
{% macro quantile_of(metric=none, quantiles=none, among=none) -%}
    {%- do refuse_unknown('quantile_of', varargs, kwargs) -%}
    {%- do refuse_unless_whole_number('quantile_of', 'quantiles', quantiles, 2) -%}
    {%- set value = ranked_value('quantile_of', metric, among) -%}
    case
        when {{ value }} is not null
            then cast(
                1 + floor(
                    {{ quantiles }}.0
                    * (rank() over (partition by as_of_date, {{ value }} is null order by {{ value }}) - 1)
                    / count(*) over (partition by as_of_date, {{ value }} is null)
                ) as integer
            )
    end
{%- endmacro %}

{% macro ranked_value(macro, metric, among) -%}
    {%- do refuse_unless_text(macro, 'metric', metric, "a column, as 'revenue_365d'") -%}
    {%- if among is none -%}
        ({{ metric }})
    {%- else -%}
        {%- do refuse_unless_text(macro, 'among', among, 'a condition in SQL, or leave it out') -%}
        case when {{ among }} then {{ metric }} end
    {%- endif -%}
{%- endmacro %}
