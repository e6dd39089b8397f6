{#-
  The value in the row where `order_by` is greatest (least), for aggregating; rows where the value is null do not
  count. Of values at the same moment the one whose text sorts last (first) is taken, so that the answer does not
  depend on the order in which rows arrive. PostgreSQL has no such aggregate, and takes the first of the
  values in order; Spark calls it max_by.
-#}
{% macro value_at_max(value, order_by) %}{{ return(adapter.dispatch('value_at_max', 'user_segments')(value, order_by)) }}{% endmacro %}

{% macro default__value_at_max(value, order_by) -%}
    arg_max({{ value }}, ({{ order_by }}, {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}

{% macro value_at_min(value, order_by) %}{{ return(adapter.dispatch('value_at_min', 'user_segments')(value, order_by)) }}{% endmacro %}

{% macro default__value_at_min(value, order_by) -%}
    arg_min({{ value }}, ({{ order_by }}, {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}

{% macro postgres__value_at_max(value, order_by) -%}
    (array_agg({{ value }} order by {{ order_by }} desc, {{ value }} desc) filter (where {{ value }} is not null))[1]
{%- endmacro %}

{% macro postgres__value_at_min(value, order_by) -%}
    (array_agg({{ value }} order by {{ order_by }}, {{ value }}) filter (where {{ value }} is not null))[1]
{%- endmacro %}

{% macro spark__value_at_max(value, order_by) -%}
    max_by({{ value }}, struct({{ order_by }}, {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}

{% macro spark__value_at_min(value, order_by) -%}
    min_by({{ value }}, struct({{ order_by }}, {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}
